// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package section_test

import (
	"testing"

	"github.com/go-ect/ect/internal/section"
)

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields map[string][]string
		want   int
	}{
		{"nil", nil, 0},
		{"a name without values", map[string][]string{"name": {}}, 0},
		{"an empty value", map[string][]string{"name": {""}}, 4 + 0 + 4},
		{"one line", map[string][]string{"name": {"value"}}, 4 + 5 + 4},
		{"two lines of a name", map[string][]string{"name": {"value", "v"}}, 4 + 5 + 4 + 4 + 1 + 4},
		{"two names", map[string][]string{"name": {"value"}, "n": {"v"}}, 4 + 5 + 4 + 1 + 1 + 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := section.Size(tt.fields); got != tt.want {
				t.Errorf("Size = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestFit has a limit at, below and above what each number of tokens needs, and holds it
// against Size of the section that comes of it.
func TestFit(t *testing.T) {
	const name = "name"
	tokens := []string{"first", "", "third token"}
	before := map[string][]string{"other": {"field"}}
	size := section.Size(before)
	for n := range len(tokens) + 1 {
		needed := section.Size(map[string][]string{"other": {"field"}, name: tokens[:n]})
		for _, tt := range []struct{ limit, want int }{{needed - 1, n - 1}, {needed, n}, {needed + 1, n}} {
			if got := section.Fit(tokens, name, size, tt.limit); got != max(tt.want, 0) {
				t.Errorf("Fit under %d = %d, want %d: %d tokens need %d", tt.limit, got, max(tt.want, 0), n, needed)
			}
		}
	}
	if got := section.Fit(nil, name, 0, 0); got != 0 {
		t.Errorf("Fit of no tokens = %d", got)
	}
	if got := section.Fit([]string{""}, "", 5, 4); got != 0 {
		t.Errorf("Fit into a section that is over its limit already = %d", got)
	}
}
