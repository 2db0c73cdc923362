// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what the hot path costs, each case against its floor in the same
// run, and prints a table with the targets. A case and its floor take turns, some
// milliseconds each, or one run where little is added to much, and what counts is the median
// over the rounds, so that other load on the machine falls on both. Under a case that missed
// its target stands what it spent its time on.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 200, "how often a case and its floor take turns")
	slice := flag.Duration("slice", 10*time.Millisecond, "how long a turn is, about")
	only := flag.String("only", "", "measure the cases whose names have this in them")
	profile := flag.Bool("profile", true, "profile what missed its target")
	flag.Parse()
	if *rounds < 1 || *slice <= 0 {
		fmt.Fprintln(os.Stderr, "bench: -rounds and -slice are more than 0")
		os.Exit(2)
	}
	if err := run(os.Stdout, settings{*rounds, *slice, *only, *profile}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	rounds  int
	slice   time.Duration
	only    string
	profile bool
}

// row is a case measured.
type row struct {
	bench
	// base and ours are medians in nanoseconds a run.
	base, ours float64
	// ratio and diff are medians over the rounds, within each of which load is alike.
	ratio, diff float64
	extra       string
	top         []string
}

// value is what the target is about.
func (r *row) value() float64 {
	if r.ratioTarget > 0 {
		return r.ratio
	}
	return r.diff
}

// aimed tells whether there is a target.
func (r *row) aimed() bool { return r.ratioTarget > 0 || r.counts || r.target > 0 }

func (r *row) met() bool {
	switch {
	case !r.aimed():
		return true
	case r.ratioTarget > 0:
		return r.ratio <= r.ratioTarget
	case r.counts:
		return math.Round(r.value()) <= r.allocTarget
	}
	return r.value() < float64(r.target)
}

func run(w io.Writer, s settings) error {
	var rows []row
	for _, b := range benches() {
		if !strings.Contains(b.name, s.only) {
			continue
		}
		r, err := measure(b, s)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return fmt.Errorf("no case %q", s.only)
	}
	return write(w, rows, s)
}

// measure lets a case and its floor take turns.
func measure(b bench, s settings) (r row, err error) {
	base, ours, err := b.make()
	defer func() { err = errors.Join(err, base.stop(), ours.stop()) }()
	if err != nil {
		return row{}, err
	}
	r = row{bench: b}
	if b.counts {
		if r.base, err = allocations(base); err == nil {
			r.ours, err = allocations(ours)
		}
		r.diff = r.ours - r.base
		return r, err
	}
	nBase, nOurs, rounds := calibrate(base, s.slice), calibrate(ours, s.slice), s.rounds
	if b.single {
		nBase, nOurs, rounds = 1, 1, rounds*nOurs
	}
	var bs, os, ratios, diffs []float64
	runtime.GC()
	for range rounds {
		x, err := turn(base, nBase)
		if err != nil {
			return row{}, err
		}
		y, err := turn(ours, nOurs)
		if err != nil {
			return row{}, err
		}
		bs, os, ratios, diffs = append(bs, x), append(os, y), append(ratios, y/x), append(diffs, y-x)
	}
	r.base, r.ours, r.ratio, r.diff = median(bs), median(os), median(ratios), median(diffs)
	if ours.extra != nil {
		r.extra = ours.extra()
	}
	if s.profile && !r.met() {
		r.top, err = top(ours, s)
	}
	return r, err
}

// allocations returns how often a case allocates a run, a fraction of which belongs to
// tables that grow.
func allocations(c *runner) (float64, error) {
	const runs = 2000
	if _, err := turn(c, runs); err != nil { // what is made once is made by then
		return 0, err
	}
	if c.prepare != nil {
		if err := c.prepare(runs); err != nil {
			return 0, err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if err := c.run(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs, nil
}

// calibrate returns how many runs take about as long as a turn.
func calibrate(c *runner, slice time.Duration) int {
	if c.n > 0 {
		return c.n
	}
	n := 1
	for {
		took, err := turn(c, n)
		if err != nil || took*float64(n) >= float64(slice)/4 {
			if err != nil || took == 0 {
				return n
			}
			return max(1, int(float64(slice)/took))
		}
		n *= 2
	}
}

// turn runs a case n times and returns nanoseconds a run. What it needs is made before.
func turn(c *runner, n int) (float64, error) {
	if c.prepare != nil {
		if err := c.prepare(n); err != nil {
			return 0, err
		}
	}
	var took time.Duration
	var err error
	pprof.Do(context.Background(), pprof.Labels(turnLabel, "run"), func(context.Context) {
		start := time.Now()
		for range n {
			if err = c.run(); err != nil {
				return
			}
		}
		took = time.Since(start)
	})
	return float64(took.Nanoseconds()) / float64(n), err
}

func median(x []float64) float64 {
	s := slices.Clone(x)
	slices.SortFunc(s, cmp.Compare)
	return s[len(s)/2]
}

func write(w io.Writer, rows []row, s settings) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s, %d CPUs, medians of %d turns of about %v, or of the single runs that fit there\n\n", runtime.Version(), runtime.NumCPU(), s.rounds, s.slice)
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	lines := []string{"what\tfloor\tours\tmeasured\ttarget\t\n"}
	for i := range rows {
		lines = append(lines, rows[i].line())
	}
	if _, err := io.WriteString(t, strings.Join(lines, "")); err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if len(r.top) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n%s: where its time went, that of the garbage collector aside: own, and with what is called\n", r.name)
		for _, line := range r.top {
			out.WriteString("  " + line + "\n")
		}
	}
	_, err := out.WriteTo(w)
	return err
}

// line is a row of the table.
func (r *row) line() string {
	measured, target, verdict := nanos(r.value()), "under "+r.target.String(), "met"
	base, ours := nanos(r.base), nanos(r.ours)
	switch {
	case r.ratioTarget > 0:
		measured, target = fmt.Sprintf("%.3f", r.ratio), fmt.Sprintf("at most %.2f", r.ratioTarget)
	case r.counts:
		base, ours = fmt.Sprintf("%.1f", r.base), fmt.Sprintf("%.1f", r.ours)
		measured, target = fmt.Sprintf("%.1f", r.value()), fmt.Sprintf("at most %.0f", r.allocTarget)
	}
	switch {
	case !r.aimed():
		target, verdict = "none", ""
	case !r.met():
		verdict = "MISSED"
	}
	return strings.Join([]string{r.name, base, ours, measured + r.extra, target, verdict}, "\t") + "\n"
}

func nanos(ns float64) string {
	if ns >= 1e4 || ns <= -1e4 {
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%.0f ns", ns)
}
