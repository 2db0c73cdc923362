// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestAbandonedStream: a caller may end a stream by its context alone, and never read it. What
// it calls next comes after it all the same.
func TestAbandonedStream(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.from.tells.Answer = core.AnswerOptional
		w.to.policy.Missing = core.AllowPartial
	})
	c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	ctx, _ := w.task(t)
	of, cancel := context.WithCancel(ctx)
	finished := make(chan struct{})
	if _, err := c.BidiStream(of, grpc.OnFinish(func(error) { close(finished) })); err != nil {
		t.Fatal(err)
	}
	left := w.from.seen.last(t).TaskID
	cancel()
	<-finished
	for start := time.Now(); ; runtime.Gosched() {
		if _, err := c.Unary(ctx, message(1)); err != nil {
			t.Fatal(err)
		}
		next := w.from.seen.last(t)
		if slices.Contains(next.Pred, left) {
			break
		}
		if time.Since(start) > patience/10 {
			t.Fatalf("what is called next comes after %v, and not after %v", next.Pred, left)
		}
	}
}
