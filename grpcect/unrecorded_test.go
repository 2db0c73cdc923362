// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestUnrecorded: a task that was done and whose token cannot be issued is refused as
// unrecorded, whatever its handler returned. The work may have been done, so the claim is kept.
func TestUnrecorded(t *testing.T) {
	for _, k := range kinds {
		for name, fail := range map[string]error{"done": nil, "failed": status.Error(codes.NotFound, "no")} {
			for _, m := range []core.Mode{core.Enforce, core.Observe} {
				t.Run(fmt.Sprintf("%s/%s/%v", k.name, name, m), func(t *testing.T) {
					w := newWorld(t)
					w.server = mode(m)
					signer := w.signs(t, w.to)
					called := 0
					cc := w.bare(t, hooked(fails(talk(), false, fail), func(context.Context) error {
						called++
						signer.broken = errors.New("the key service is gone")
						return nil
					}))
					token := w.head(t)
					present(t, cc, k.call, token).refused(t, core.CodeUnrecorded)
					if diff := cmp.Diff([]core.Code{core.CodeUnrecorded}, w.to.seen.codes()); diff != "" || called != 1 {
						t.Errorf("called %d times, reported (-want +got):\n%s", called, diff)
					}
					if m == core.Enforce {
						present(t, cc, k.call, token).refused(t, core.CodeReplayed)
					}
				})
			}
		}
	}
}

// TestUnrecordedPair: the caller is told that there is no record, and its dispatch stands.
func TestUnrecordedPair(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			w.signs(t, w.to).broken = errors.New("the key service is gone")
			var answer *core.Received
			ctx, task := w.task(t)
			err := k.call(ctx, testpb.NewTestServiceClient(dialBufconn(t, w, talk())), grpcect.Answer(&answer))
			isRefusal(t, err, core.CodeUnrecorded, nil)
			if answer != nil {
				t.Error("there is an answer")
			}
			w.after(ctx, t, task, w.issued(t, 0).TaskID)
		})
	}
}

// TestUnrecordedPanic: so with a handler that panicked; the panic goes on.
func TestUnrecordedPanic(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			w.recovers(true)
			w.signs(t, w.to).broken = errors.New("the key service is gone")
			o := present(t, w.bare(t, hooked(talk(), func(context.Context) error { panic("no") })), k.call, w.head(t))
			if st := status.Convert(o.err); st.Code() != codes.Internal || st.Message() != "a panic" {
				t.Errorf("the call = %v", o.err)
			}
			if diff := cmp.Diff([]core.Code{core.CodeUnrecorded}, w.to.seen.codes()); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}
