// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestHours: a call takes three hours. By then what it answers has expired and was dropped from
// the task stores on both sides, as other work came and went. Its record is as fresh as any,
// and its answer verifies and names the dispatch.
func TestHours(t *testing.T) {
	const hours = 3 * time.Hour
	for _, k := range kinds {
		for _, missing := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
			t.Run(fmt.Sprint(k.name, " ", missing), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					stores := map[string]*dag.Memory{}
					w := newWorld(t, func(w *world) {
						for _, s := range []*side{w.from, w.to} {
							m, err := dag.NewMemory(dag.MemoryConfig{})
							if err != nil {
								t.Fatal(err)
							}
							stores[s.agent.Identity], s.policy.Missing = m, missing
							s.options = append(s.options, core.WithTaskStore(m))
						}
					})
					var began atomic.Bool
					c := testpb.NewTestServiceClient(dialBufconn(t, w, hooked(talk(), func(context.Context) error {
						if !began.Swap(true) {
							time.Sleep(hours)
						}
						return nil
					})))
					begin := func() (context.Context, *core.Task) {
						ctx, task, err := w.from.service.StartTask(t.Context(), "test")
						if err != nil {
							t.Fatal(err)
						}
						return ctx, task
					}
					others := time.AfterFunc(hours-time.Second, func() {
						ctx, task := begin()
						if err := k.call(ctx, c); err != nil {
							t.Errorf("the other call: %v", err)
						}
						if _, err := task.Finish(ctx, core.Completion{}); err != nil {
							t.Error(err)
						}
						for whose, m := range stores {
							// What the other call left, and nothing of hours ago.
							if n, _ := m.Len(); n > 3 {
								t.Errorf("%s keeps %d tasks, want those of the other call alone", whose, n)
							}
						}
					})
					defer others.Stop()
					ctx, task := begin()
					var answer *core.Received
					begun := time.Now()
					if err := k.call(ctx, c, grpcect.Answer(&answer)); err != nil {
						t.Fatal(err)
					}
					if got := time.Since(begun); got != hours {
						t.Errorf("it took %v, want %v", got, hours)
					}
					record := answer.Heads()[0].Claims()
					if now := time.Now().Truncate(time.Second); !record.IssuedAt.Equal(now) || !record.Expiry.Equal(now.Add(core.DefaultLifetime)) {
						t.Errorf("iat = %v, exp = %v at %v", record.IssuedAt, record.Expiry, now)
					}
					comesAfter(t, "the record", record, w.issued(t, 0).TaskID)
					if record.Ext.Outcome != core.OutcomeOK || !record.OutHash.Present {
						t.Errorf("recorded %+v", record)
					}
					w.after(ctx, t, task, record.TaskID)
				})
			})
		}
	}
}

// TestSlowSigner: a signer that does not answer holds the end of a call up for ten seconds, and
// no longer. The caller may be gone by then: the record is made all the same if the signer
// answers in time.
func TestSlowSigner(t *testing.T) {
	for name, takes := range map[string]time.Duration{"in time": 9 * time.Second, "too late": 11 * time.Second} {
		for _, gone := range []bool{false, true} {
			for _, k := range kinds {
				t.Run(fmt.Sprintf("%s/%s/gone %t", k.name, name, gone), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.signs(t, w.to).takes = takes
						ctx, task, err := w.from.service.StartTask(t.Context(), "test")
						if err != nil {
							t.Fatal(err)
						}
						leaves, cancel := context.WithCancel(ctx)
						defer cancel()
						c := testpb.NewTestServiceClient(dialBufconn(t, w, hooked(talk(), func(context.Context) error {
							if gone {
								time.AfterFunc(time.Second, cancel)
							}
							return nil
						})))
						begun := time.Now()
						err = k.call(leaves, c)
						synctest.Wait()
						if want := map[bool]time.Duration{true: time.Second, false: min(takes, 10*time.Second)}[gone]; time.Since(begun) != want {
							t.Errorf("it took %v, want %v", time.Since(begun), want)
						}
						switch {
						case gone:
							if status.Code(err) != codes.Canceled {
								t.Errorf("the call = %v", err)
							}
						case takes > 10*time.Second:
							isRefusal(t, err, core.CodeUnrecorded, nil)
						case err != nil:
							t.Errorf("the call = %v", err)
						}
						time.Sleep(takes)
						synctest.Wait()
						recorded, lost := len(w.to.seen.tokens()), w.to.seen.codes()
						if want := takes < 10*time.Second; (recorded == 1) != want || (len(lost) == 0) != want {
							t.Errorf("%d records, reported %v", recorded, lost)
						}
						after := w.issued(t, 0).TaskID
						if recorded == 1 && !gone {
							after = w.to.seen.last(t).TaskID
						}
						w.after(ctx, t, task, after)
					})
				})
			}
		}
	}
}
