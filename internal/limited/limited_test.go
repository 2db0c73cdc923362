// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package limited_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ect/ect/internal/limited"
)

// TestEnds ends a context in every way, with somebody who waits for it and without.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		// parent is how long the one above goes on, and whether it ends by a deadline.
		parent   time.Duration
		deadline bool
		after    time.Duration
		stop     bool
		want     error
	}{
		{name: "goes on", parent: time.Hour, after: time.Minute - 1},
		{name: "its time comes", parent: time.Hour, after: time.Minute, want: context.DeadlineExceeded},
		{name: "stopped", parent: time.Hour, after: time.Second, stop: true, want: context.Canceled},
		{name: "cancelled above", parent: time.Second, after: time.Second, want: context.Canceled},
		{name: "the time above comes", parent: time.Second, deadline: true, after: time.Second, want: context.DeadlineExceeded},
		{name: "a later time above", parent: time.Hour, deadline: true, after: time.Minute - 1},
	} {
		for waiting, name := range map[bool]string{true: ", waited for", false: ""} {
			t.Run(tt.name+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					begin := time.Now()
					parent, cancel := context.WithCancel(t.Context())
					defer cancel()
					if tt.deadline {
						var done context.CancelFunc
						parent, done = context.WithDeadline(parent, begin.Add(tt.parent))
						defer done()
					} else {
						defer time.AfterFunc(tt.parent, cancel).Stop()
					}
					ctx := limited.Until(parent, begin.Add(time.Minute))
					defer ctx.Stop()
					var done <-chan struct{}
					if waiting {
						done = ctx.Done()
					}
					want := begin.Add(time.Minute)
					if tt.deadline && tt.parent < time.Minute {
						want = begin.Add(tt.parent)
					}
					if d, ok := ctx.Deadline(); !ok || !d.Equal(want) {
						t.Errorf("Deadline = %v, %t, want %v", d, ok, want)
					}
					time.Sleep(tt.after)
					synctest.Wait()
					if tt.stop {
						ctx.Stop()
						ctx.Stop()
					}
					if err := ctx.Err(); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
						t.Errorf("Err = %v, want %v", err, tt.want)
					}
					if !waiting {
						done = ctx.Done()
					}
					select {
					case <-done:
						if tt.want == nil {
							t.Error("Done is closed")
						}
					default:
						if tt.want != nil {
							t.Error("Done is not closed")
						}
					}
				})
			})
		}
	}
}

// TestNoTimer: as long as nobody waits, a context costs its own memory and nothing else.
func TestNoTimer(t *testing.T) {
	parent, end := t.Context(), time.Now().Add(time.Hour)
	var ctx context.Context
	got := testing.AllocsPerRun(100, func() {
		l := limited.Until(parent, end)
		if ctx = l; ctx.Err() != nil {
			t.Error("it has ended")
		}
		l.Stop()
	})
	if got > 1 {
		t.Errorf("%v allocations, want 1", got)
	}
}

type key struct{}

func TestValue(t *testing.T) {
	ctx := limited.Until(context.WithValue(t.Context(), key{}, 7), time.Now().Add(time.Hour))
	defer ctx.Stop()
	if got := ctx.Value(key{}); got != 7 {
		t.Errorf("Value = %v", got)
	}
}
