// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// stream begins a stream of several messages, and returns what sends one and what receives to
// the end.
func stream(ctx context.Context, t testing.TB, c testpb.TestServiceClient, many bool, opts ...grpc.CallOption) (send func(*testpb.Message) error, end func() error) {
	t.Helper()
	if many {
		st, err := c.BidiStream(ctx, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return st.Send, func() error { return cmpOr(st.CloseSend(), func() error { return drain(st.Recv) }) }
	}
	st, err := c.ClientStream(ctx, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return st.Send, func() error {
		_, err := st.CloseAndRecv()
		return err
	}
}

// issued returns the n-th token that the caller issued.
func (w *world) issued(t testing.TB, n int) core.Claims {
	t.Helper()
	all := w.from.seen.tokens()
	if len(all) <= n {
		t.Fatalf("%d tokens were issued", len(all))
	}
	return all[n].Claims()
}

// comesAfter holds what a token comes after against what it should.
func comesAfter(t testing.TB, what string, c core.Claims, want ...core.UUID) {
	t.Helper()
	if diff := cmp.Diff(want, c.Pred, equateEmpty); diff != "" {
		t.Errorf("%s comes after (-want +got):\n%s", what, diff)
	}
}

// TestStreamsSideBySide: two streams that are open at the same time are branches, and what
// follows both joins them, with no graph code.
func TestStreamsSideBySide(t *testing.T) {
	for _, many := range []bool{true, false} {
		w := newWorld(t)
		c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
		ctx, task := w.task(t)
		sendOne, endOne := stream(ctx, t, c, many)
		sendTwo, endTwo := stream(ctx, t, c, many)
		for n := range 3 {
			if err := cmpOr(sendOne(message(n)), func() error { return sendTwo(message(n)) }); err != nil {
				t.Fatal(err)
			}
		}
		comesAfter(t, "the first stream", w.issued(t, 0))
		comesAfter(t, "the second stream", w.issued(t, 1))
		if err := endTwo(); err != nil {
			t.Fatal(err)
		}
		two := w.to.seen.last(t)
		if err := endOne(); err != nil {
			t.Fatal(err)
		}
		one := w.to.seen.last(t)
		comesAfter(t, "what the first came to", one, w.issued(t, 0).TaskID)
		comesAfter(t, "what the second came to", two, w.issued(t, 1).TaskID)
		if _, err := c.Unary(ctx, message(1)); err != nil {
			t.Fatal(err)
		}
		comesAfter(t, "what follows both", w.issued(t, 2), two.TaskID, one.TaskID)
		w.after(ctx, t, task, w.to.seen.last(t).TaskID)
	}
}

// TestFirstResponse: a stream has happened once something of it came back, a message or a
// header: what begins after that comes after its dispatch, and what the stream comes to is a
// branch of its own.
func TestFirstResponse(t *testing.T) {
	for name, first := range map[string]func(grpc.BidiStreamingClient[testpb.Message, testpb.Message]) error{
		"nothing": func(grpc.BidiStreamingClient[testpb.Message, testpb.Message]) error { return nil },
		"a message": func(st grpc.BidiStreamingClient[testpb.Message, testpb.Message]) error {
			_, err := st.Recv()
			return err
		},
		"the header": func(st grpc.BidiStreamingClient[testpb.Message, testpb.Message]) error {
			_, err := st.Header()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
			ctx, task := w.task(t)
			st, err := c.BidiStream(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := cmpOr(st.Send(message(1)), func() error { return first(st) }); err != nil {
				t.Fatal(err)
			}
			dispatch := w.issued(t, 0)
			if _, err := c.Unary(ctx, message(2)); err != nil {
				t.Fatal(err)
			}
			unary := w.to.seen.last(t)
			if name == "nothing" {
				comesAfter(t, "the call beside it", w.issued(t, 1))
			} else {
				comesAfter(t, "the call after it", w.issued(t, 1), dispatch.TaskID)
			}
			if err := cmpOr(st.CloseSend(), func() error { return drain(st.Recv) }); err != nil {
				t.Fatal(err)
			}
			w.after(ctx, t, task, unary.TaskID, w.to.seen.last(t).TaskID)
		})
	}
}

// TestOpenAtTheEnd: a stream that is open when its task ends is in the graph by its dispatch;
// nothing can be begun after that, and what is open goes on, unverified by the task's record.
func TestOpenAtTheEnd(t *testing.T) {
	for _, many := range []bool{true, false} {
		w := newWorld(t)
		c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
		ctx, task := w.task(t)
		send, end := stream(ctx, t, c, many)
		if err := send(message(1)); err != nil {
			t.Fatal(err)
		}
		w.after(ctx, t, task, w.issued(t, 0).TaskID)
		if _, err := c.Unary(ctx, message(2)); err == nil {
			t.Error("a call of a finished task is made")
		}
		if err := end(); err != nil {
			t.Errorf("the stream ends with %v", err)
		}
		comesAfter(t, "the record of the stream", w.to.seen.last(t), w.issued(t, 0).TaskID)
		if n := len(w.from.seen.tokens()); n != 2 {
			t.Errorf("%d tokens were issued, want the dispatch and the task", n)
		}
	}
}

// TestBranches: each branch of a task has calls of its own in their order, whatever happens in
// the other meanwhile.
func TestBranches(t *testing.T) {
	w := newWorld(t)
	c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	ctx, task := w.task(t)
	oneCtx, one := task.Branch(ctx)
	twoCtx, two := task.Branch(ctx)
	var last [2]core.UUID
	for n := range 3 {
		for b, ctx := range []context.Context{oneCtx, twoCtx} {
			if err := kinds[n+b].call(ctx, c); err != nil {
				t.Fatal(err)
			}
			dispatch := w.from.seen.last(t)
			if n == 0 {
				comesAfter(t, "the first call of a branch", dispatch)
			} else {
				comesAfter(t, "the next call of a branch", dispatch, last[b])
			}
			last[b] = w.to.seen.last(t).TaskID
		}
	}
	one.Join()
	two.Join()
	w.after(ctx, t, task, last[0], last[1])
}
