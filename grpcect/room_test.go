// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
	"github.com/go-ect/ect/internal/section"
)

// TestMetadataRoom: tokens go as far as the outgoing metadata has room. Context is dropped
// first; then the call is not made, and nothing comes after it.
func TestMetadataRoom(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.from.tells.Context, w.from.tells.Answer = 1, core.AnswerOptional })
			var got []string
			cc := w.plainFrom(t, hooked(talk(), func(ctx context.Context) error {
				got = metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)
				return nil
			}))
			pad := 0
			const overhead = len("x-pad") + 4
			call := func() (core.Claims, error) {
				ctx, task := w.task(t)
				if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
					t.Fatal(err)
				}
				got = nil
				err := k.call(metadata.AppendToOutgoingContext(ctx, "x-pad", strings.Repeat("x", pad)), testpb.NewTestServiceClient(cc))
				if _, err := task.Finish(ctx, core.Completion{}); err != nil {
					t.Fatal(err)
				}
				return w.from.seen.last(t), err
			}
			if _, err := call(); err != nil || len(got) != 2 {
				t.Fatalf("%v, %d tokens went", err, len(got))
			}
			sizes := []int{lineOf(got[0]), lineOf(got[1])}
			for _, c := range []struct {
				name  string
				room  int
				token int
			}{
				{"for both", sizes[0] + sizes[1], 2},
				{"for one and a little", sizes[0] + sizes[1] - 1, 1},
				{"for one", sizes[0], 1},
				{"for none", sizes[0] - 1, 0},
			} {
				pad = grpcect.DefaultMetadataBytes - overhead - c.room
				end, err := call()
				if len(got) != c.token {
					t.Errorf("room %s: %d tokens went, want %d (%v)", c.name, len(got), c.token, err)
				}
				issued := w.from.seen.tokens()
				step, dispatch := issued[len(issued)-3].Claims().TaskID, issued[len(issued)-2].Claims().TaskID
				after := dispatch
				if c.token == 0 {
					after = step
					notMade(t, err, core.CodeTooLarge)
				} else if err != nil {
					t.Errorf("room %s: %v", c.name, err)
				}
				if len(end.Pred) != 1 || end.Pred[0] != after {
					t.Errorf("room %s: the task comes after %v, want %v", c.name, end.Pred, after)
				}
			}
		})
	}
}

func lineOf(token string) int { return section.Size(metadata.MD{core.CarrierTokens: {token}}) }

// notMade holds the error of a call that was not made against its code.
func notMade(t testing.TB, err error, code core.Code) {
	t.Helper()
	if got := status.Code(err); core.CodeOf(err) != code || got != grpcect.Code(code) || got == codes.OK {
		t.Errorf("the call = %v (%v), want %v", err, got, code)
	}
}
