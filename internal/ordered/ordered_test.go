// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ordered_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-ect/ect/internal/ordered"
)

// model is a set as a list that is searched.
type model struct {
	keys   []int
	values []string
}

func (m *model) add(k int, v string) bool {
	if slices.Contains(m.keys, k) {
		return false
	}
	m.keys, m.values = append(m.keys, k), append(m.values, v)
	return true
}

func (m *model) remove(k int) bool {
	n := slices.Index(m.keys, k)
	if n >= 0 {
		m.keys, m.values = slices.Delete(m.keys, n, n+1), slices.Delete(m.values, n, n+1)
	}
	return n >= 0
}

// TestModel runs random changes on sets that grow past the size from which members are
// looked up, and shrink below it again.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, m := ordered.Set[int, string]{}, model{}
		keys := 4 + r.IntN(100)
		for n := range 1500 {
			k, v := r.IntN(keys), fmt.Sprint(n)
			growing := n/300%2 == 0
			if (r.IntN(4) > 0) == growing {
				if got, want := s.Add(k, v), m.add(k, v); got != want {
					t.Fatalf("seed %d: Add(%d) = %t, want %t", seed, k, got, want)
				}
			} else if got, want := s.Remove(k), m.remove(k); got != want {
				t.Fatalf("seed %d: Remove(%d) = %t, want %t", seed, k, got, want)
			}
			if s.Len() != len(m.keys) || s.Has(k) != slices.Contains(m.keys, k) {
				t.Fatalf("seed %d: %d members, want %d; has %d: %t", seed, s.Len(), len(m.keys), k, s.Has(k))
			}
			if got := s.Values(); !slices.Equal(got, m.values) {
				t.Fatalf("seed %d, change %d: Values() = %v, want %v", seed, n, got, m.values)
			}
		}
	}
}

// TestValuesAreCopied: what was read does not change with the set.
func TestValuesAreCopied(t *testing.T) {
	var s ordered.Set[int, int]
	for n := range 100 {
		s.Add(n, n)
	}
	got := s.Values()
	for n := range 100 {
		s.Remove(n)
	}
	if s.Len() != 0 || len(s.Values()) != 0 {
		t.Errorf("%d members are left", s.Len())
	}
	for n, v := range got {
		if v != n {
			t.Fatalf("value %d became %d", n, v)
		}
	}
}

func BenchmarkAddRemove(b *testing.B) {
	for _, n := range []int{1, 12, 100, 10_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var s ordered.Set[int, int]
			for k := range n {
				s.Add(k, k)
			}
			k := n
			for b.Loop() {
				s.Add(k, k)
				s.Remove(k - n)
				k++
			}
		})
	}
}
