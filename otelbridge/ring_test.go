// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/go-ect/ect/otelbridge"
)

// TestRingAsMap puts keys at random, and holds what is there against a map. A ring may forget
// a key only when half as many others as it has room for were put since, and none where it has
// room for all twice.
func TestRingAsMap(t *testing.T) {
	for _, size := range []int{2, 8, 64, 500} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			seed := rand.Uint64()
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			rng := rand.New(rand.NewPCG(seed, 0))
			r := otelbridge.NewRing(size)
			keys := 1 + rng.IntN(2*size)
			last := map[int]int{} // when a key was put
			for n := range 50 * size {
				key := rng.IntN(keys)
				at, put := last[key]
				v, ok := r.Get(key)
				switch {
				case ok && (!put || v != fmt.Sprint(at)):
					t.Fatalf("key %d has %q, want what was put %d, %t", key, v, at, put)
				case !ok && put && (n-at <= size/2 || 2*keys <= size):
					t.Fatalf("key %d of %d is gone after %d others", key, keys, n-at-1)
				}
				if fresh := r.Put(key, fmt.Sprint(n)); fresh == ok {
					t.Fatalf("key %d is fresh: %t, and was there: %t", key, fresh, ok)
				}
				last[key] = n
			}
		})
	}
}

// BenchmarkRing gives what a key costs that was never there, in a ring that is full. The
// baseline is a map that has as many, of which one goes for each that comes.
func BenchmarkRing(b *testing.B) {
	for _, size := range []int{otelbridge.MinIndexSize, otelbridge.DefaultIndexSize} {
		b.Run(fmt.Sprintf("%d/baseline", size), func(b *testing.B) {
			m := map[int]string{}
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				m[n] = "v"
				delete(m, n-size)
				n++
			}
		})
		b.Run(fmt.Sprintf("%d/ring", size), func(b *testing.B) {
			r := otelbridge.NewRing(size)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				r.Put(n, "v")
				n++
			}
		})
	}
}
