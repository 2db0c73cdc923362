// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// turnLabel marks the samples of what is measured, and not of what is made for it.
const turnLabel = "turn"

// topLines is how many functions are shown of a case that missed its target.
const topLines = 24

// shown tells whether a function is one to show: the library's own, and what it cannot do
// without as a whole rather than in its parts.
func shown(name string) bool {
	switch name {
	case "runtime.mallocgc", "crypto/ecdsa.VerifyASN1", "crypto/ecdsa.SignASN1", "crypto/sha256.Sum256":
		return true
	}
	return strings.Contains(name, "go-ect")
}

// top runs a case under the profiler and returns the functions that took the most.
func top(c *runner, s settings) ([]string, error) {
	var out bytes.Buffer
	n := calibrate(c, s.slice)
	if err := pprof.StartCPUProfile(&out); err != nil {
		return nil, err
	}
	for range 2 * s.rounds {
		if _, err := turn(c, n); err != nil {
			pprof.StopCPUProfile()
			return nil, err
		}
	}
	pprof.StopCPUProfile()
	p, err := profile.Parse(&out)
	if err != nil {
		return nil, err
	}
	own, with := map[string]int64{}, map[string]int64{}
	var total int64
	for _, sample := range p.Sample {
		if !sample.HasLabel(turnLabel, "run") {
			continue
		}
		v := sample.Value[len(sample.Value)-1]
		total += v
		seen := map[string]bool{}
		for i, l := range sample.Location {
			for j, line := range l.Line {
				name := line.Function.Name
				if i == 0 && j == 0 {
					own[name] += v
				}
				if !seen[name] {
					with[name] += v
					seen[name] = true
				}
			}
		}
	}
	if total == 0 {
		return []string{"too short for the profiler"}, nil
	}
	names := make([]string, 0, len(with))
	for name := range with {
		if shown(name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(with[b], with[a]), strings.Compare(a, b)) })
	var lines []string
	for _, name := range names[:min(topLines, len(names))] {
		share := func(v int64) float64 { return 100 * float64(v) / float64(total) }
		lines = append(lines, fmt.Sprintf("%5.1f %%  %5.1f %%  %s", share(own[name]), share(with[name]), name))
	}
	return lines, nil
}
