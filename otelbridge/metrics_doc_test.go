// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/readme"
)

const metricsPage = "../docs/metrics.md"

// TestMetricsPage holds the table of docs/metrics.md against what the SDK has once everything
// was tried, and the names on the page against those there are.
func TestMetricsPage(t *testing.T) {
	readme.Check(t, metricsPage, "metrics_example_test.go", 1)
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 7 && strings.HasPrefix(line, "| `ect.") {
			rows[quoted(cells[1])[0]] = cells
		}
	}
	found, points := everything(t).instruments(t)
	for _, name := range instruments {
		row := rows[name]
		if row == nil {
			t.Errorf("%s is not in the table", name)
			continue
		}
		var keys []string
		for _, p := range points[name] {
			for _, kv := range p.labels.ToSlice() {
				if !slices.Contains(keys, string(kv.Key)) {
					keys = append(keys, string(kv.Key))
				}
			}
		}
		labels := quoted(row[3])
		slices.Sort(keys)
		slices.Sort(labels)
		if unit := quoted(row[2]); !slices.Equal(unit, []string{found[name].Unit}) || !slices.Equal(labels, keys) {
			t.Errorf("the page gives %s the unit %q and the labels %q, and it has %q and %q", name, unit, labels, found[name].Unit, keys)
		}
		if most := strconv.Itoa(bounds()[name].most); strings.TrimSpace(row[5]) != most {
			t.Errorf("the page gives %s %s series at most, and it can have %s", name, row[5], most)
		}
	}
	known := slices.Clone(instruments)
	for _, c := range core.Codes() {
		known = append(known, c.String())
	}
	for key := range closed() {
		known = append(known, string(key))
	}
	for _, name := range quoted(string(page)) {
		if strings.HasPrefix(name, "ect.") && !slices.Contains(known, name) {
			t.Errorf("the page speaks of %s, which there is not", name)
		}
	}
	// What the page says to alert on.
	_, alerts, ok := strings.Cut(string(page), "## What to alert on")
	if !ok {
		t.Fatal("the page does not say what to alert on")
	}
	for line := range strings.Lines(alerts) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], " with `") {
			continue
		}
		_, with, _ := strings.Cut(cells[1], " with ")
		for _, code := range quoted(with) {
			if !slices.Contains(known, code) {
				t.Errorf("the page says to alert on the code %s, which there is not", code)
			}
		}
	}
}

// quoted returns what stands between backquotes on one line.
func quoted(text string) (all []string) {
	for line := range strings.Lines(text) {
		for n, part := range strings.Split(line, "`") {
			if n%2 == 1 {
				all = append(all, part)
			}
		}
	}
	return all
}
