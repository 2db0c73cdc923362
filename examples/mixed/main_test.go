// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDemonstration(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		wants []string
	}{
		{"signed", nil, []string{"7  L2", "7 signatures and every edge"}},
		{"unsigned", []string{"-level", "L1"}, []string{"7  L1", "Nothing is signed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), tt.args, &out, io.Discard); err != nil {
				t.Fatalf("run: %v\n%s", err, &out)
			}
			for _, want := range append(tt.wants, "release-onto-what-serves/v1: approved", "t5 --> t6", "one workflow", "All as it should be.") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, &out)
				}
			}
		})
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"x"}, {"-x"}, {"-level", "L3"}, {"-level", "L0"}, {"-level", ""}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("run(%q): no error", args)
		}
	}
}

// TestShape holds the graph of a good run against others than its own.
func TestShape(t *testing.T) {
	c := started(t)
	for range 2 {
		if _, err := c.deploy(t.Context(), release{Service: "billing"}); err != nil {
			t.Fatal(err)
		}
	}
	all := c.tokens()
	tokens, other := all[:7], all[7:]
	g := c.graph(tokens)
	if err := shape(g, tokens, approved); err != nil {
		t.Fatal(err)
	}
	for n := range approved {
		for _, tt := range []struct {
			name   string
			change func([]place)
		}{
			{"another label", func(p []place) { p[n].label += "?" }},
			{"one more before it", func(p []place) { p[n].after = append(slices.Clone(p[n].after), n+1) }},
			{"none before it", func(p []place) { p[n].after = nil }},
			{"elsewhere", func(p []place) { p[n], p[(n+1)%7] = p[(n+1)%7], p[n] }},
		} {
			want := slices.Clone(approved)
			tt.change(want)
			if reflect.DeepEqual(want, approved) {
				continue // the root has none before it
			}
			if shape(g, tokens, want) == nil {
				t.Errorf("%s at %d: no error", tt.name, n+1)
			}
		}
	}
	if shape(g, tokens, approved[:6]) == nil {
		t.Error("one less: no error")
	}
	mixed := slices.Clone(tokens)
	mixed[6] = other[6]
	if shape(g, mixed, approved) == nil {
		t.Error("another workflow: no error")
	}
	if last := tokens[6]; !bound(last, tokens) || bound(last, other) {
		t.Error("what a token comes after is not told from what it does not")
	}
}
