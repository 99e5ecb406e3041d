package main

// What the tests of a mutant are, where several have the same.
const (
	ofSchedule  = "-timeout 1m ./internal/schedule ./cache"
	ofCache     = "-timeout 1m ./cache"
	ofTokenfile = "-timeout 1m ./tokenfile ./internal/jwt ./internal/regularfile"
	ofIrsa      = "-timeout 5m ./irsa"
)

var mutants = []mutant{
	// When credentials count as expired, and when they are refreshed.
	{"only both clocks together make a moment reached", "internal/schedule/moment.go", "now.Wall >= m.Wall || now.Elapsed >= m.Elapsed", "now.Wall >= m.Wall && now.Elapsed >= m.Elapsed", ofSchedule},
	{"the wall clock alone counts", "internal/schedule/moment.go", "return now.Wall >= m.Wall || now.Elapsed >= m.Elapsed", "return now.Wall >= m.Wall", ofSchedule},
	{"the margin before the end is dropped", "internal/schedule/lifetime.go", "return spread(longest/5*4, longest, r)", "return 0", ofSchedule},
	{"the jitter of refreshes is dropped", "internal/schedule/lifetime.go", "return spread(end/4*3, end, r)", "return end", ofSchedule},
	{"refreshes come at 90 %", "internal/schedule/lifetime.go", "end := lifetime / 10 * 8", "end := lifetime / 10 * 9", ofSchedule},
	{"a refresh does not leave what a view needs", "internal/schedule/lifetime.go", "end = min(end, (lifetime-minTTL)/10*9)", "end = min(end, lifetime)", ofSchedule},
	{"a view may ask for all of a life", "internal/schedule/lifetime.go", "return lifetime / 10 * 6", "return lifetime", ofSchedule},
	{"a skew is never corrected", "internal/schedule/lifetime.go", "\t\t\texpires = earliest.Add(lifetime)\n", "", "-timeout 5m ./internal/schedule ./irsa"},
	{"any Date is used", "internal/schedule/lifetime.go", " && lifetime > 0 && lifetime <= duration+DateTolerance", "", ofSchedule},
	{"a lifetime is not limited", "internal/schedule/lifetime.go", "expires.After(limit)", "false && expires.After(limit)", ofSchedule},
	{"a lifetime is limited from the receipt on", "internal/schedule/lifetime.go", "limit := sent.Add(duration)", "limit := received.Add(duration)", ofSchedule},
	{"the round trip is a difference of two readings of the wall clock", "internal/schedule/moment.go", ", m.Elapsed-start.Elapsed, 0)", ", math.MinInt64)", ofSchedule},
	{"the round trip omits a suspend", "internal/schedule/moment.go", "max(time.Duration(add(m.Wall, -start.Wall)), ", "max(", ofSchedule},
	{"the Date of a stored response is used", "irsa/response.go", " || len(header.Values(\"Age\")) > 0", "", ofIrsa},
	{"the jitter of retries is dropped", "internal/schedule/retry.go", "return spread(d, d+d/4, r)", "return d", ofSchedule},
	{"the last try may be long before the end", "internal/schedule/retry.go", "		return last\n", "		return wait\n", ofSchedule},
	{"retries with valid credentials are a storm at their end", "internal/schedule/retry.go", "remaining/2), least)", "remaining/2), 0)", ofSchedule},
	{"retries with valid credentials do not think of their end", "internal/schedule/retry.go", "min(jitter(atLeast(requested, failures, capServing), r), remaining/2)", "jitter(atLeast(requested, failures, capServing), r)", ofSchedule},
	{"permanent errors are retried as fast as others", "internal/schedule/retry.go", "longest = capPermanent", "longest = capEmpty", ofSchedule},
	{"retries do not slow down", "internal/schedule/retry.go", "		d *= 2\n", "		d *= 1\n", ofSchedule},

	// The cache.
	{"a cached Retrieve looks at the wall clock alone", "cache/retrieve.go", "now.UnixNano() >= s.fastUntil.wall || !now.Before(s.fastUntil.elapsed)", "now.UnixNano() >= s.fastUntil.wall", ofCache},
	{"a cached Retrieve looks at the monotonic clock alone", "cache/retrieve.go", "now.UnixNano() >= s.fastUntil.wall || !now.Before(s.fastUntil.elapsed)", "!now.Before(s.fastUntil.elapsed)", ofCache},
	{"no timer refreshes", "cache/decide.go", "		c.setTimer(d.due.Elapsed - now.Elapsed)\n", "", ofCache},
	{"two attempts at the same time", "cache/decide.go", "if s.closed || c.scheduler.attempt != nil {", "if s.closed {", ofCache},
	{"attempts that are asked for are not spaced", "cache/attempt.go", "c.scheduler.spacedUntil = now.Add(schedule.Spacing)", "c.scheduler.spacedUntil = now", ofCache},
	{"refusals are not spaced", "cache/attempt.go", "invalidateSpacedUntil = now.Add(schedule.RejectionSpacing)", "invalidateSpacedUntil = now", ofCache},
	{"an attempt has no limit", "cache/attempt.go", "context.WithTimeout(slotContext(c.opts.Limiter), c.opts.AttemptTimeout)", "context.WithCancel(slotContext(c.opts.Limiter))", ofCache},
	{"a source that ignores its context is waited for", "cache/attempt.go", "	a.overdue = true\n", "	return\n", ofCache},
	{"a panic of the source is not caught", "cache/attempt.go", "		if r := recover(); r != nil {\n			err = errPanic(r)\n		}\n", "", ofCache},
	{"refused credentials come back", "cache/attempt.go", "case creds.HasKeys() && slices.Contains(c.scheduler.readHistory().withdrawn, creds.AccessKeyID):", "case slices.Contains(c.scheduler.readHistory().withdrawn, \"\"):", ofCache},
	{"credentials without keys are good", "cache/snapshot.go", "	if !creds.HasKeys() {\n", "	if false {\n", ofCache},
	{"Invalidate does not compare keys", "cache/rejection.go", "rejected.AccessKeyID != s.creds.AccessKeyID", "false", ofCache},
	{"a rejection withdraws the credentials", "cache/rejection.go", "c.scheduler.requested, c.scheduler.rejected = true, true\n", "c.scheduler.requested, c.scheduler.rejected = true, true\n\t\tc.store(s.withoutCredentials())\n", ofCache},
	{"a caller's context is not looked at", "cache/retrieve.go", "case <-ctx.Done():", "case <-(chan struct{})(nil):", ofCache},
	{"the first failures reach the callers", "cache/snapshot.go", "s.failures <= 2 && !s.permanent", "s.failures <= 0 && !s.permanent", ofCache},
	{"permanent failures keep the first callers waiting", "cache/snapshot.go", "s.failures <= 2 && !s.permanent", "s.failures <= 2", ofCache},
	{"Close does not cancel the attempt", "cache/decide.go", "		sched.attempt.cancel()\n", "		_ = sched.attempt.cancel\n", ofCache},
	{"Close does not wait", "cache/cache.go", "		case <-running.returned:\n		case <-limit.C:\n			return errSourceRuns\n", "		default:\n", ofCache},
	{"a timer holds the Cache", "cache/decide.go", "		if c := cache.Value(); c != nil {\n			c.advance()\n		}\n", "		c.advance()\n		_ = cache\n", ofCache},
	{"the log has a line for every failure", "cache/events.go", "	case now == before:\n		return line{}, false\n", "	case now == before && now == healthy:\n		return line{}, false\n", ofCache},
	{"a panic of the observer is not caught", "cache/events.go", "if r := recover(); r != nil {", "if r := any(nil); r != nil {", ofCache},
	{"the Limiter has no bound", "cache/limiter.go", "l.running >= slots ||", "false ||", ofCache},
	{"failing Caches may take all places", "cache/limiter.go", "l.failing >= max(slots/2, 1)", "false", ofCache},
	{"callers wait behind the background", "cache/limiter.go", "		c.opts.Limiter.promote(a.ticket)\n", "", ofCache},
	{"throttling is not heeded", "cache/limiter.go", "max(l.slots/2, 1), now", "l.slots, now", ofCache},
	{"a hop takes a place of its own", "cache/limiter.go", "return l != nil && ctx.Value(slotKey{}) == l", "return false", ofCache},

	{"a Wake during the first attempt is lost", "cache/cache.go", "c.state.Load().failures == 0 && c.scheduler.attempt == nil", "c.state.Load().failures == 0", ofCache},
	{"a Wake delays the retry", "cache/decide.go", "due = schedule.Earlier(due, r.spacedUntil)", "due = r.spacedUntil", ofCache},
	{"a refusal in an outage hides its error", "cache/snapshot.go", "	if s.failures == 0 {\n		next.err", "	if true {\n		next.err", ofCache},
	{"a view made late begins no refresh", "cache/retrieve.go", "		c.store(next)\n		c.advanceLocked()\n", "		c.store(next)\n", ofCache},
	{"an overdue attempt counts twice", "cache/attempt.go", "case !a.overdue:", "case true:", ofCache},
	{"a panic of the log's handler is not caught", "cache/events.go", "func (e *events) write(l line) {\n	defer func() { _ = recover() }()\n", "func (e *events) write(l line) {\n", ofCache},

	// The token.
	{"a token is printed", "tokenfile/token.go", "func (t Token) String() string { return redacted }", "func (t Token) String() string { return t.Reveal() }", ofTokenfile},
	{"a token is printed by verbs", "tokenfile/token.go", "_, _ = io.WriteString(f, redacted)", "_, _ = io.WriteString(f, t.Reveal())", ofTokenfile},
	{"a token is marshalled", "tokenfile/token.go", "return []byte(`\"` + redacted + `\"`), nil", "return []byte(`\"` + t.Reveal() + `\"`), nil", ofTokenfile},
	{"a read has no bound", "tokenfile/read.go", "min(max(size, minBuffer), maxRead)+1", "max(size, minBuffer)+1", ofTokenfile},
	{"a file that grows is half read", "tokenfile/read.go", "case n == len(text):", "case false:", ofTokenfile},
	{"a read is not tried again", "tokenfile/read.go", "if !transient || n == maxReads {", "if !transient || n == 1 {", ofTokenfile},
	{"a named pipe is opened", "internal/regularfile/regularfile.go", "if _, err := Stat(path); err != nil {", "if _, err := os.Stat(path); err != nil {", ofTokenfile},
	{"opening waits for the writer of a named pipe", "internal/regularfile/open_unix.go", "|syscall.O_NONBLOCK", "", ofTokenfile},
	{"an open file is not checked", "internal/regularfile/regularfile.go", "err = check(path, info)", "err = error(nil)", ofTokenfile},
	{"white space stays", "tokenfile/token.go", "	text = strings.TrimSpace(text)\n", "	_ = strings.TrimSpace\n", ofTokenfile},

	// The exchange and its Provider.
	{"a rejected token is not read again", "irsa/exchange.go", "if !errors.Is(err, ErrTokenExpired) && !errors.Is(err, ErrTokenRejected) {", "if !errors.Is(err, nil) {", ofIrsa},
	{"a reply's size has no bound", "irsa/response.go", "http.MaxBytesReader(nil, body, maxReply)", "body", ofIrsa},
	{"the SDK's retries come on top", "irsa/client.go", "		o.Retryer = aws.NopRetryer{}\n", "", ofIrsa},
	{"bodies are logged", "irsa/client.go", "o.ClientLogMode &= aws.LogRetries | aws.LogDeprecatedUsage", "o.ClientLogMode |= 0", ofIrsa},
	{"redirects are followed", "irsa/transport.go", "return http.ErrUseLastResponse", "return nil", ofIrsa},
	{"an error keeps the token", "irsa/response.go", "r.message = r.secrets.redact(shortened(", "r.message = fmt.Sprint(shortened(", ofIrsa},
	{"AccessDenied is not permanent", "irsa/classify.go", " || errors.Is(err, ErrAccessDenied)", "", ofIrsa},
	{"a rotation does not wake", "irsa/watch.go", "		p.cache.Wake()\n", "", ofIrsa},
	{"the watch looks once a minute after a failure", "irsa/watch.go", "const failingInterval = time.Second", "const failingInterval = time.Minute", ofIrsa},
	{"the region is not part of a Pool's key", "irsa/poolkey.go", "region: opts.Region, ", "", ofIrsa},
	{"the token's source is not part of a Pool's key", "irsa/poolkey.go", "token: sourceKey, ", "", ofIrsa},
	{"session policies are not part of a Pool's key", "irsa/poolkey.go", "policy: opts.Policy, ", "", ofIrsa},
	{"a role with other tokens keeps the Pool's file", "irsa/pool.go", "if sourceKey != p.config.sourceKey {", "if false {", ofIrsa},
	{"the Pool's file wakes roles with other tokens", "irsa/pool.go", "if provider.config.TokenFile != \"\" {", "if true {", ofIrsa},
	{"AssumeRole goes on after Close", "irsa/derived.go", "	d.closed = true\n", "", ofIrsa},
	{"a closed Pool goes on", "irsa/pool.go", "	if p.closed.Load() {\n", "	if false {\n", ofIrsa},
	{"a Pool forgets nobody", "irsa/pool.go", "for len(p.roles) > p.maxRoles {", "for false {", ofIrsa},
	{"the credentials of others are replaced", "irsa/rejection.go", "if r.verdict == accepted || !ours {", "if r.verdict == accepted || !ours && r.key == \"\" {", ofIrsa},
	{"a host forgets the keys that it rejected", "irsa/hosts.go", "min(max(2*entry.minAge, minRejectedAge), maxRejectedAge)", "minRejectedAge", ofIrsa},
	{"a role chain may ask for twelve hours", "irsa/chain.go", "const maxChainedDuration = time.Hour", "const maxChainedDuration = 12 * time.Hour", ofIrsa},
}
