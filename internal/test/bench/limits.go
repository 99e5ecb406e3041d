package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A limit is a requirement that irsakit must meet in a measure, or one for plausibility.
type limit struct {
	measure string
	text    string
	check   func(*sheet) (measured string, held bool)
}

// limits contains all limits. Comparisons use the medians of the same run.
var limits = []limit{
	{"cached", "a serial Retrieve takes at most 0.8 of the SDK's time", ratio(serial, ours, sdk, perCall, 0.8)},
	{"cached", "a parallel Retrieve takes at most 0.8 of the SDK's time", ratio(parallel, ours, sdk, perCall, 0.8)},
	{"cached", "a MinTTL view takes at most 1.15 of the time of Retrieve", ratio(serial, view, ours, perCall, 1.15)},
	{"cached", "Pool.Provider takes less than 200 ns", below(lookup, perCall, 200)},
	{"cached", "Retrieve and Pool.Provider do not allocate", most(ours, []string{serial, parallel, lookup}, allocations, 0)},
	{"cached", "a MinTTL view does not allocate", most(view, []string{serial}, allocations, 0)},
	{"cached", "a failing Retrieve takes less than 1 µs", below(failing, perCall, 1000)},
	{"cached", "a failing Retrieve allocates at most once", most(ours, []string{failing}, allocations, 1)},
	{"cached", "with a bundle of 140 certificates, the second irsa.New takes less than 100 µs", below(creation, perCall, 100e3)},
	{"steady", "no request fails", most(ours, []string{""}, failures, 0)},
	{"steady", "requests over 10 ms: at most the share with static keys plus 1 in 100,000", noSlowerThanStatic},
	{"steady", "p99.99 is at most 1/100 of the SDK's", ratio("", ours, sdk, farTail, 0.01)},
	{"steady", "plausibility: requests of the SDK's provider wait as long as STS takes", atLeast(sdk, []string{""}, longest, float64(full.Steady.Latency))},
	{"outage", "shorter, all kinds: no request fails", most(ours, scenes(shorter), failures, 0)},
	{"outage", "shorter, all kinds: no request takes more than 10 ms", most(ours, scenes(shorter), overSlow, 0)},
	{"outage", "shorter: at least two STS calls during the outage, except during a hang", atLeast(ours, withAnswer(shorter), during, 2)},
	{"outage", "plausibility, shorter: at least 1,000 requests of the SDK's provider fail: refused, 503, IDP error", atLeast(sdk, []string{shorter + "refused", shorter + "503", shorter + "IDP error"}, failures, 1000)},
	{"outage", "plausibility, shorter: a request of the SDK's provider waits for at least 0.9 of the hang", atLeast(sdk, []string{shorter + "hang"}, longest, 0.9*float64(full.Outage.Hang))},
	{"outage", "longer, refused: at most 1/50 of the SDK's STS calls", ratio(longer+"refused", ours, sdk, during, 1.0/50)},
	{"outage", "longer, 503: at most 1/25 of the SDK's STS calls", ratio(longer+"503", ours, sdk, during, 1.0/25)},
	{"outage", "longer, IDP error: at most 1/25 of the SDK's STS calls", ratio(longer+"IDP error", ours, sdk, during, 1.0/25)},
	{"outage", "longer, throttled: at most as many STS calls as the SDK's provider", ratio(longer+"throttled", ours, sdk, during, 1)},
	{"outage", "longer, hang: at most two STS calls, one per timeout of 10 s", most(ours, []string{longer + "hang"}, during, 2)},
	{"outage", "longer: recovery within 6 s, except after a hang", most(ours, withAnswer(longer), recovery, 6e9)},
	{"outage", "longer, hang: recovery within the timeout of 10 s plus 6 s", most(ours, []string{longer + "hang"}, recovery, 16e9)},
	{"rotation", "no request fails during rotations", most(ours, []string{swaps, inPlace}, failures, 0)},
	{"rotation", "plausibility, written in place: requests of the SDK's provider fail", atLeast(sdk, []string{inPlace}, failures, 1)},
	{"start", "STS answers at once: time to credentials at most 1.1 of the bare provider's", ratio(atOnce, ours, bare, goodKeys, 1.1)},
	{"start", "STS answers after 50 ms: time to credentials at most 1.1 of the bare provider's", ratio(after50, ours, bare, goodKeys, 1.1)},
	{"start", "allocations at most 1.25 of the bare provider's", ratio(atOnce, ours, bare, allocations, 1.25)},
	{"start", "allocated bytes at most 1.25 of the bare provider's", ratio(atOnce, ours, bare, allocated, 1.25)},
	{"start", "resident memory at most 1.1 of the bare provider's", ratio(atOnce, ours, bare, resident, 1.1)},
	{"start", "the binary has at most 0.85 of the size with config", ratio(program, ours, sdk, binarySize, 0.85)},
	{"roles", "a role takes at most 1.1 of the heap of the SDK's cache and provider", ratio("", ours, sdk, heapPerRole, 1.1)},
	{"roles", "at most 0.9 of the SDK's processor time", ratio("", ours, sdk, processor, 0.9)},
	{"roles", "the first load takes at most 1.1 of what MaxCalls allows", most(ours, []string{""}, firstLoad, 1.1*full.Roles.leastLoad())},
	{"roles", "requests over 10 ms: at most 1/100 of the SDK's", ratio("", ours, sdk, overSlow, 1.0/100)},
	{"roles", "no request fails", most(ours, []string{""}, failures, 0)},
	{"chains", "a chain takes at most 1.1 of the heap of a role", ratio("", chains, ours, heapPerRole, 1.1)},
	{"chains", "at most 1.1 of the SDK's processor time for each STS call", ratio("", ours, sdk, perSTSCall, 1.1)},
	{"chains", "the first load takes at most 1.1 of what MaxCalls allows", most(ours, []string{""}, firstLoad, 1.1*full.Roles.leastLoad())},
	{"chains", "no request fails", most(chains, []string{""}, failures, 0)},
	{"herd", "no request fails", most(ours, []string{""}, failures, 0)},
	{"herd", "the peak from the first refresh on is at most 1/12 of the SDK's", ratio("", ours, sdk, later, 1.0/12)},
	{"herd", "the peak in the last lifetime is lower", func(s *sheet) (string, bool) {
		last, first := s.find("", ours, lastPeak), s.find("", ours, later)
		return fmt.Sprintf("%s after %s", last, first), last.median() < first.median()
	}},
	{"herd", "after a common outage, at most a third of the pods call STS in any second", most(ours, []string{""}, afterward, float64(full.Herd.Pods)/3)},
	{"survival", "15 minutes: no pod fails for at least 2.7 minutes", atLeast(ours, []string{"15m"}, noneFails, 2.7*60e9)},
	{"survival", "1 hour: no pod fails for at least 11 minutes", atLeast(ours, []string{"1h"}, noneFails, 11*60e9)},
	{"survival", "12 hours: no pod fails for at least 2.2 hours", atLeast(ours, []string{"12h"}, noneFails, 2.2*3600e9)},
	{"controller", "no reconciliation fails", most(ours, []string{""}, failures, 0)},
	{"controller", "no reconciliation but the first of each tenant waits", most(ours, []string{""}, overSlow, float64(full.Controller.Tenants))},
	{"controller", "at most 1/100 of the STS calls of new SDK providers", ratio("", ours, eachTime, stsCalls, 1.0/100)},
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

// ratio returns a check that holds if the median of one contender is at most share times that of another one.
func ratio(scene, one, other, name string, share float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		a, b := s.find(scene, one, name), s.find(scene, other, name)
		return fmt.Sprintf("%s to %s: %s", a, b, significant(a.median()/b.median())), a.median() <= share*b.median()
	}
}

// below returns a check that holds if irsakit's median is below the limit.
func below(scene, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		f := s.find(scene, ours, name)
		return f.String(), f.median() < limit
	}
}

// most returns a check that holds if no run of the contender in the scenes exceeds the limit.
func most(contender string, scenes []string, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		runs, u := s.runs(contender, scenes, name)
		return "at most " + u.format(slices.Max(runs)), slices.Max(runs) <= limit
	}
}

// atLeast returns a check that holds if no run of the contender in the scenes is below the limit.
func atLeast(contender string, scenes []string, name string, limit float64) func(*sheet) (string, bool) {
	return func(s *sheet) (string, bool) {
		runs, u := s.runs(contender, scenes, name)
		return "at least " + u.format(slices.Min(runs)), slices.Min(runs) >= limit
	}
}

func (s *sheet) runs(contender string, scenes []string, name string) (all []float64, u unit) {
	for _, scene := range scenes {
		f := s.find(scene, contender, name)
		all, u = append(all, f.Runs...), f.Unit
	}
	return all, u
}

// noSlowerThanStatic compares the share of requests over 10 ms in all runs with that of static keys.
func noSlowerThanStatic(s *sheet) (string, bool) {
	totals := func(contender string) (over, all float64) {
		for i, n := range s.find("", contender, requests).Runs {
			over, all = over+s.find("", contender, overSlow).Runs[i], all+n
		}
		return over, all
	}
	mine, all := totals(ours)
	theirs, theirAll := totals(static)
	return fmt.Sprintf("%s of %s, with static keys %s of %s", times.format(mine), times.format(all), times.format(theirs), times.format(theirAll)),
		mine <= math.Ceil(all*(theirs/theirAll+1e-5))
}

// checked returns a row with the result of each limit whose measure was run.
func (r *report) checked() (rows [][]string) {
	for _, l := range limits {
		if s := r.Sheet(l.measure); s != nil {
			measured, held := l.check(s)
			rows = append(rows, []string{l.measure, l.text, measured, map[bool]string{true: "held", false: "**not held**"}[held]})
		}
	}
	return rows
}

func (r *report) missed() (all []string) {
	for _, row := range r.checked() {
		if row[3] != "held" {
			all = append(all, strings.Join(row[:3], ": "))
		}
	}
	return all
}

func (r *report) LimitTable() string {
	return writeTable([]string{"measure", "limit", "measured", ""}, r.checked())
}
