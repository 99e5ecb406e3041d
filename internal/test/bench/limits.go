package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A limit is a requirement that irsakit must meet in a measure.
type limit struct {
	measure string
	text    string
	check   func(*sheet) (measured string, met bool)
}

// limits contains all limits. Comparisons use the medians of the same run.
var limits = []limit{
	{"cached", "a serial call takes at most 0.8 of the SDK's time", ratio(serial, perCall, 0.8)},
	{"cached", "a parallel call takes at most 0.8 of the SDK's time", ratio(parallel, perCall, 0.8)},
	{"cached", "a call allocates nothing", most([]string{serial, parallel}, allocations, 0)},
	{"cached", "the fastest parallel round is no slower than the slower of the serial and separate medians", noSlowerInParallel},
	{"steady", "no request fails", most([]string{""}, failures, 0)},
	{"steady", "requests over 10 ms: at most the share with static keys plus 1 in 100,000", noSlowerThanStatic([]string{""}, "")},
	{"steady", "p99.99 is at most 1/100 of the SDK's", ratio("", farTail, 0.01)},
	{"steady", "plausibility: requests of the SDK's provider wait as long as STS takes", atLeast(sdk, []string{""}, longest, float64(full.Steady.Latency))},
	{"outage", "shorter, all kinds: no request fails", most(scenes(shorter), failures, 0)},
	{"outage", "shorter, each kind: requests over 10 ms: at most the share with static keys plus 1 in 100,000", noSlowerThanStatic(scenes(shorter), shorter+"none")},
	{"outage", "shorter: at least two STS calls during the outage, except during a hang", atLeast(ours, withAnswer(shorter), during, 2)},
	{"outage", "plausibility, shorter: at least 1,000 requests of the SDK's provider fail: refused, 503, IDP error", atLeast(sdk, []string{shorter + "refused", shorter + "503", shorter + "IDP error"}, failures, 1000)},
	{"outage", "plausibility, shorter: a request of the SDK's provider waits for at least 0.9 of the hang", atLeast(sdk, []string{shorter + "hang"}, longest, 0.9*float64(full.Outage.Hang))},
	{"outage", "longer, refused: at most 1/50 of the SDK's STS calls", ratio(longer+"refused", during, 1.0/50)},
	{"outage", "longer, 503: at most 1/25 of the SDK's STS calls", ratio(longer+"503", during, 1.0/25)},
	{"outage", "longer, IDP error: at most 1/25 of the SDK's STS calls", ratio(longer+"IDP error", during, 1.0/25)},
	{"outage", "longer, throttled: at most as many STS calls as the SDK's provider", ratio(longer+"throttled", during, 1)},
	{"outage", "longer, hang: at most two STS calls, one per timeout of 10 s", most([]string{longer + "hang"}, during, 2)},
	{"outage", "longer: recovery within 6 s, except after a hang", most(withAnswer(longer), recovery, 6e9)},
	{"outage", "longer, hang: recovery within the timeout of 10 s plus 6 s", most([]string{longer + "hang"}, recovery, 16e9)},
	{"rotation", "no request fails during rotations", most([]string{swaps, inPlace}, failures, 0)},
	{"rotation", "plausibility: at least 40 rotations", atLeast(kubelet, []string{swaps, inPlace}, rotated, 40)},
	{"start", "STS answers at once: time to credentials at most 1.1 of the SDK's", ratio(atOnce, goodKeys, 1.1)},
	{"start", "STS answers after 50 ms: time to credentials at most 1.1 of the SDK's", ratio(after50, goodKeys, 1.1)},
	{"start", "the binary is no larger than the SDK's", ratio(program, binarySize, 1)},
	{"roles", "a role takes at most 1.1 of the heap in the SDK's cache", ratio("", heapPerRole, 1.1)},
	{"roles", "10,000 roles take at most 1.1 of the SDK's processor time", ratio("", processor, 1.1)},
	{"roles", "requests over 10 ms: at most the share with static keys plus 1 in 100,000", noSlowerThanStatic([]string{""}, "")},
	{"roles", "no request fails", most([]string{""}, failures, 0)},
	{"herd", "no request fails", most([]string{""}, failures, 0)},
	{"herd", "the peak from the first refresh on is at most 1/8 of the SDK's", ratio("", later, 1.0/8)},
}

func scenes(length string) []string {
	var all []string
	for _, kind := range kinds {
		all = append(all, length+kind.name)
	}
	return all
}

// withAnswer is like scenes without the last kind, a hang.
func withAnswer(length string) []string { return scenes(length)[:len(kinds)-1] }

// ratio returns a check that is met if irsakit's median is at most share times the SDK's.
func ratio(scene, name string, share float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		mine, theirs := s.find(scene, ours, name), s.find(scene, sdk, name)
		return fmt.Sprintf("%s to %s: %s", mine.Unit.format(mine.median()), theirs.Unit.format(theirs.median()), significant(mine.median()/theirs.median())),
			mine.median() <= share*theirs.median()
	}
}

// most returns a check that is met if no run of irsakit in the scenes exceeds the limit.
func most(scenes []string, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		runs, u := s.runs(ours, scenes, name)
		return "at most " + u.format(slices.Max(runs)), slices.Max(runs) <= limit
	}
}

// atLeast returns a check that is met if no run of the contender in the scenes is below the
// limit.
func atLeast(contender string, scenes []string, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		runs, u := s.runs(contender, scenes, name)
		return "at least " + u.format(slices.Min(runs)), slices.Min(runs) >= limit
	}
}

// runs returns the runs of a contender's figure in the scenes.
func (s *sheet) runs(contender string, scenes []string, name string) (all []float64, u unit) {
	for _, scene := range scenes {
		f := s.find(scene, contender, name)
		all, u = append(all, f.Runs...), f.Unit
	}
	return all, u
}

// noSlowerInParallel compares the fastest parallel round with the slower of two medians: that of
// the serial rounds, in which nothing is shared, and that of the separate rounds, in which the
// callers share the machine but not the provider. A disturbance only makes a round slower, so
// the fastest round shows the time of a call. Callers that wait for each other would do so in
// each round.
func noSlowerInParallel(s *sheet) (string, bool) {
	one, apart, shared := s.find(serial, ours, perCall), s.find(separate, ours, perCall), s.find(parallel, ours, perCall)
	return fmt.Sprintf("%s, serial %s, separate %s", shared, one, apart), slices.Min(shared.Runs) <= max(one.median(), apart.median())
}

// noSlowerThanStatic compares, for each scene, the share of requests over 10 ms in all runs.
func noSlowerThanStatic(scenes []string, static string) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		sum := func(scene, contender, name string) (total float64) {
			for _, run := range s.find(scene, contender, name).Runs {
				total += run
			}
			return total
		}
		theirs, theirAll := sum(static, staticKeys.name, overSlow), sum(static, staticKeys.name, requests)
		total, totalAll, met := 0.0, 0.0, true
		for _, scene := range scenes {
			mine, all := sum(scene, ours, overSlow), sum(scene, ours, requests)
			total, totalAll, met = total+mine, totalAll+all, met && mine <= math.Ceil(all*(theirs/theirAll+1e-5))
		}
		return fmt.Sprintf("%s of %s, with static keys %s of %s", times.format(total), times.format(totalAll), times.format(theirs), times.format(theirAll)), met
	}
}

// checked returns a row with the result of each limit whose measure was run.
func (r *report) checked() (rows [][]string) {
	for _, l := range limits {
		if s := r.Sheet(l.measure); s != nil {
			measured, met := l.check(s)
			rows = append(rows, []string{l.measure, l.text, measured, map[bool]string{true: "yes", false: "NO"}[met]})
		}
	}
	return rows
}

// missed returns the limits that are not met.
func (r *report) missed() (all []string) {
	for _, row := range r.checked() {
		if row[3] != "yes" {
			all = append(all, strings.Join(row, ": "))
		}
	}
	return all
}

// LimitTable returns the results in Markdown.
func (r *report) LimitTable() string {
	return writeTable([]string{"measure", "limit", "measured", "met"}, r.checked())
}
