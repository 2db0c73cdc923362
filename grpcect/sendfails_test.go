// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestSendFails: a call whose message cannot be sent is over, for the task as well: what the
// task does next comes after it, since the peer may have seen that it began.
func TestSendFails(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
			ctx, task := w.task(t)
			if err := k.call(ctx, c, grpc.MaxCallSendMsgSize(3)); status.Code(err) != codes.ResourceExhausted {
				t.Fatalf("the call = %v", err)
			}
			dispatch := w.from.seen.last(t)
			step, err := task.Step(ctx, "next", core.StepInput{})
			if err != nil {
				t.Fatal(err)
			}
			if got := step.Claims().Pred; len(got) != 1 || got[0] != dispatch.TaskID {
				t.Errorf("the next step comes after %v, want the dispatch %v", got, dispatch.TaskID)
			}
		})
	}
}
