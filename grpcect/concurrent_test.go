// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestStreamConcurrentSafe: one goroutine sends and closes while another receives, whose
// stream may end before CloseSend has returned; others look at it meanwhile.
func TestStreamConcurrentSafe(t *testing.T) {
	const messages = 20
	w := newWorld(t)
	cc := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	ctx, _ := w.task(t)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			var answer *core.Received
			st, err := cc.BidiStream(ctx, grpcect.Answer(&answer))
			if err != nil {
				t.Error(err)
				return
			}
			var sides sync.WaitGroup
			sides.Go(func() {
				for m := range messages {
					if err := st.Send(message(n*messages + m)); err != nil {
						t.Error(err)
					}
				}
				if err := st.CloseSend(); err != nil {
					t.Error(err)
				}
			})
			sides.Go(func() {
				if _, err := st.Header(); err != nil {
					t.Error(err)
				}
				st.Context()
			})
			for m := 0; ; m++ {
				got, err := st.Recv()
				if errors.Is(err, io.EOF) && m == messages {
					break
				}
				if err != nil || got.GetText() != fmt.Sprintf("message %d", n*messages+m) {
					t.Errorf("message %d: %v, %v", m, got.GetText(), err)
					break
				}
			}
			sides.Wait()
			if answer == nil || !answer.Heads()[0].InpHash().Present || !answer.Heads()[0].OutHash().Present {
				t.Error("no answer, or one that does not name what was sent")
			}
		})
	}
	all.Wait()
	if c := w.from.seen.codes(); len(c) > 0 {
		t.Errorf("reported %v", c)
	}
}

// TestCallsConcurrentSafe: calls of every kind made side by side by many tasks do not mix: each
// answer is to its own dispatch, and each task comes after its own answers.
func TestCallsConcurrentSafe(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			w := newWorld(t)
			cc := testpb.NewTestServiceClient(tr.dial(t, w, talk()))
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					ctx, task := w.task(t)
					answers := make([]*core.Received, 2*len(kinds))
					var calls sync.WaitGroup
					for n := range answers {
						calls.Go(func() {
							if err := kinds[n%len(kinds)].call(ctx, cc, grpcect.Answer(&answers[n])); err != nil {
								t.Errorf("%s: %v", kinds[n%len(kinds)].name, err)
							}
						})
					}
					calls.Wait()
					var want []string
					for _, a := range answers {
						if a == nil {
							t.Error("no answer")
							return
						}
						want = append(want, a.Heads()[0].Claims().TaskID.String())
					}
					a, err := task.Finish(ctx, core.Completion{})
					if err != nil {
						t.Error(err)
						return
					}
					var got []string
					for _, p := range a.Issued.Claims().Pred {
						got = append(got, p.String())
					}
					for _, p := range got {
						if !slices.Contains(want, p) {
							t.Errorf("the task comes after %v, which is none of its answers", p)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestReplayConcurrentSafe: of many calls that present one token at once, one gets through.
func TestReplayConcurrentSafe(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			var called atomic.Int32
			cc := w.bare(t, hooked(talk(), func(context.Context) error { called.Add(1); return nil }))
			token := w.head(t)
			got := make([]codes.Code, 20)
			var all sync.WaitGroup
			for n := range got {
				all.Go(func() { got[n] = status.Code(present(t, cc, k.call, token).err) })
			}
			all.Wait()
			slices.Sort(got)
			want := append([]codes.Code{codes.OK}, slices.Repeat([]codes.Code{codes.PermissionDenied}, len(got)-1)...)
			if diff := cmp.Diff(want, got); diff != "" || called.Load() != 1 {
				t.Errorf("called %d times (-want +got):\n%s", called.Load(), diff)
			}
		})
	}
}

// TestTurnedAwayConcurrentSafe: a batch asks what is further in at once, with the one call
// that it has, under an outer interceptor that enforces or only observes.
func TestTurnedAwayConcurrentSafe(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, acceptL1)
			b := &batch{ask: func(_ context.Context, open, closed func() error) error {
				atOnce(closed, open, closed, open)
				return nil
			}}
			w.batched(b)
			cc := w.bare(t, talk())
			low := w.unsigned(t)
			w.answer(t, present(t, cc, said(k.name, "one"), low))
			present(t, cc, said(k.name, "one"), low).refused(t, core.CodeReplayed)
		})
	}
}
