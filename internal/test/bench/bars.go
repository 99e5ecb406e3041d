package main

import (
	"fmt"
	"math"
	"slices"
)

// A bar is a requirement that irsakit must meet in a measure.
type bar struct {
	measure string
	says    string
	seen    func(*sheet) (seen string, holds bool)
}

// bars contains all bars. Comparisons use the medians of the same run.
var bars = []bar{
	{"cached", "a cached Retrieve takes at most 0.8 of the SDK's time, serial", ratio("serial", perCall, 0.8)},
	{"cached", "… and parallel", ratio("parallel", perCall, 0.8)},
	{"cached", "it allocates nothing", most([]string{"serial", "parallel"}, allocations, 0)},
	{"cached", "a call is no slower in parallel: at its fastest it is as fast as one usually is where nothing is shared", noSlowerInParallel},
	{"steady", "no request fails", most([]string{""}, failures, 0)},
	{"steady", "no more requests over 10 ms than with static keys and 1 in 100,000", noSlowerThanStatic([]string{""}, "")},
	{"steady", "p99.99 is at most 1/100 of the SDK's", ratio("", farTail, 0.01)},
	{"steady", "… which has requests that wait as long as STS takes", atLeast(sdk, []string{""}, longest, float64(full.steady.latency))},
	{"outage", "an outage shorter than the remaining life: no request fails, in any kind", most(scenes(shorter), failures, 0)},
	{"outage", "… and no more over 10 ms than with static keys and 1 in 100,000, in each kind", noSlowerThanStatic(scenes(shorter), shorter+"none")},
	{"outage", "… while it tried at least twice, so that it met the outage", atLeast(ours, withAnswer(shorter), during, 2)},
	{"outage", "… and the SDK fails a thousand requests at least, refused, at 503 and IDP errors", atLeast(sdk, []string{shorter + "refused", shorter + "503", shorter + "IDP error"}, failures, 1000)},
	{"outage", "… and waits as long as a call hangs", atLeast(sdk, []string{shorter + "hang"}, longest, 0.9*float64(full.outage.stuck))},
	{"outage", "a longer one, refused: at most 1/50 of the SDK's STS calls", ratio(longer+"refused", during, 1.0/50)},
	{"outage", "… 503: at most 1/25", ratio(longer+"503", during, 1.0/25)},
	{"outage", "… IDP error: at most 1/25", ratio(longer+"IDP error", during, 1.0/25)},
	{"outage", "… throttled: no more than the SDK's", ratio(longer+"throttled", during, 1)},
	{"outage", "… hang: one for each limit of 10 s, and the first", most([]string{longer + "hang"}, during, 2)},
	{"outage", "recovery from it within 6 s", most(withAnswer(longer), recovery, 6e9)},
	{"outage", "… after a hang within the limit of 10 s and 6 s", most([]string{longer + "hang"}, recovery, 16e9)},
	{"rotation", "no request fails in a rotation", most([]string{swaps, inPlace}, failures, 0)},
	{"rotation", "… of which there were many", atLeast(kubelet, []string{swaps, inPlace}, rotated, 40)},
	{"start", "credentials after at most 1.1 of the SDK's time, STS at once", ratio(atOnce, firstKeys, 1.1)},
	{"start", "… and after 50 ms", ratio(after50, firstKeys, 1.1)},
	{"start", "the program is no larger", ratio(program, binarySize, 1)},
	{"roles", "a role takes no more heap than in the SDK's cache, within 10 %", ratio("", heapEach, 1.1)},
	{"roles", "10,000 roles take no more processor time, within 10 %", ratio("", processor, 1.1)},
	{"roles", "no more requests over 10 ms than with static keys and 1 in 100,000", noSlowerThanStatic([]string{""}, "")},
	{"roles", "no request fails", most([]string{""}, failures, 0)},
	{"herd", "no request fails", most([]string{""}, failures, 0)},
	{"herd", "from the first refresh on the peak is at most 1/8 of the SDK's", ratio("", later, 1.0/8)},
}

func scenes(length string) []string {
	var all []string
	for _, kind := range kinds {
		all = append(all, length+kind.name)
	}
	return all
}

// withAnswer returns the scenes in which STS responds or the connection fails at once.
func withAnswer(length string) []string {
	return slices.DeleteFunc(scenes(length), func(scene string) bool { return scene == length+"hang" })
}

// ratio returns a bar that holds if irsakit's median is at most share times the SDK's.
func ratio(scene, name string, share float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		mine, theirs := s.find(scene, ours, name), s.find(scene, sdk, name)
		return fmt.Sprintf("%s to %s: %s", mine.Unit.format(mine.median()), theirs.Unit.format(theirs.median()), share3(mine.median()/theirs.median())),
			mine.median() <= share*theirs.median()
	}
}

// share3 formats a ratio: with two decimals from 0.1, and with three significant digits below.
func share3(v float64) string {
	if v == 0 || v >= 0.1 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.*f", 2-int(math.Floor(math.Log10(v))), v)
}

// most returns a bar that holds if no run of irsakit in the scenes exceeds the limit.
func most(scenes []string, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		worst := math.Inf(-1)
		for _, scene := range scenes {
			worst = max(worst, slices.Max(s.find(scene, ours, name).Runs))
		}
		return "at most " + s.find(scenes[0], ours, name).Unit.format(worst), worst <= limit
	}
}

// atLeast returns a bar that holds if no run of the contender in the scenes is below the
// limit. It ensures that the measure is meaningful.
func atLeast(contender string, scenes []string, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		least := math.Inf(1)
		for _, scene := range scenes {
			least = min(least, slices.Min(s.find(scene, contender, name).Runs))
		}
		return "at least " + s.find(scenes[0], contender, name).Unit.format(least), least >= limit
	}
}

// noSlowerInParallel holds if the fastest parallel round is no slower than the slower of two
// medians: that of the serial rounds, in which nothing is shared, and that of the rounds
// apart, in which the callers share the machine but not the provider. A disturbance only
// makes a round slower, so the fastest round shows the time of a call. Callers that wait for
// each other would do so in each round.
func noSlowerInParallel(s *sheet) (string, bool) {
	serial, apart, parallel := s.find("serial", ours, perCall), s.find("apart", ours, perCall), s.find("parallel", ours, perCall)
	return fmt.Sprintf("%s, serial %s, apart %s", parallel, serial, apart), slices.Min(parallel.Runs) <= max(serial.median(), apart.median())
}

// noSlowerThanStatic compares, for each scene, the share of requests over 10 ms in all runs.
func noSlowerThanStatic(scenes []string, static string) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		theirs, theirAsked := s.sum(static, staticKeys.name, overSlow), s.sum(static, staticKeys.name, requests)
		total, asked, holds := 0.0, 0.0, true
		for _, scene := range scenes {
			mine, all := s.sum(scene, ours, overSlow), s.sum(scene, ours, requests)
			total, asked, holds = total+mine, asked+all, holds && mine <= math.Ceil(all*(theirs/theirAsked+1e-5))
		}
		return fmt.Sprintf("%s of %s, with static keys %s of %s", times.format(total), times.format(asked), times.format(theirs), times.format(theirAsked)), holds
	}
}

// judged calls fn for each bar whose measure was run.
func (r *report) judged(fn func(b bar, seen string, holds bool)) {
	for _, b := range bars {
		if s := r.sheet(b.measure); s != nil {
			seen, holds := b.seen(s)
			fn(b, seen, holds)
		}
	}
}

// missed returns the bars that do not hold.
func (r *report) missed() []string {
	var all []string
	r.judged(func(b bar, seen string, holds bool) {
		if !holds {
			all = append(all, fmt.Sprintf("%s: %s: %s", b.measure, b.says, seen))
		}
	})
	return all
}

func (r *report) barTable() string {
	var rows [][]string
	r.judged(func(b bar, seen string, holds bool) {
		verdict := "yes"
		if !holds {
			verdict = "NO"
		}
		rows = append(rows, []string{b.measure, b.says, seen, verdict})
	})
	return writeTable([]string{"", "bar", "seen", "holds"}, rows)
}
