// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// message is one whose serialization varies, as the entries of a map have no order.
func message(n int) *testpb.Message {
	m := &testpb.Message{Text: fmt.Sprintf("message %d", n), Labels: map[string]string{}}
	for k := range 8 {
		m.Labels[fmt.Sprint("label ", k)] = fmt.Sprint(n)
	}
	return m
}

// talk is the service of most tests: it answers three messages a stream.
func talk() *stub {
	return &stub{
		unary: func(_ context.Context, m *testpb.Message) (*testpb.Message, error) { return m, nil },
		serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			for n := range 3 {
				if err := st.Send(message(n)); err != nil {
					return err
				}
			}
			return nil
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			for n := uint32(0); ; n++ {
				if _, err := st.Recv(); errors.Is(err, io.EOF) {
					return st.SendAndClose(&testpb.Message{Count: n})
				} else if err != nil {
					return err
				}
			}
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			for {
				m, err := st.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := st.Send(m); err != nil {
					return err
				}
			}
		},
		empty: func(context.Context, *testpb.Empty) (*testpb.Empty, error) { return &testpb.Empty{}, nil },
	}
}

// kinds are the ways to call the service, each to its end.
var kinds = []struct {
	name string
	// dispatched tells that the dispatch names the request.
	dispatched bool
	call       func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error
}{
	{"unary", true, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		_, err := c.Unary(ctx, message(1), opts...)
		return err
	}},
	{"server stream", true, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.ServerStream(ctx, message(1), opts...)
		if err != nil {
			return err
		}
		return drain(st.Recv)
	}},
	{"client stream", false, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.ClientStream(ctx, opts...)
		if err != nil {
			return err
		}
		for n := range 3 {
			if err := st.Send(message(n)); errors.Is(err, io.EOF) {
				break // and receiving tells why
			} else if err != nil {
				return err
			}
		}
		_, err = st.CloseAndRecv()
		return err
	}},
	{"bidi stream", false, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.BidiStream(ctx, opts...)
		if err != nil {
			return err
		}
		for n := range 3 {
			if err := st.Send(message(n)); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if _, err := st.Recv(); err != nil {
				return err
			}
		}
		if err := st.CloseSend(); err != nil {
			return err
		}
		return drain(st.Recv)
	}},
}

// drain receives to the end of a stream.
func drain(recv func() (*testpb.Message, error)) error {
	for {
		if _, err := recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestPair: calls of every kind, over memory and over TLS, compressed and not, leave a
// dispatch and an answer whose hashes agree, and the answer takes the dispatch's place.
func TestPair(t *testing.T) {
	for _, tr := range transports {
		for _, k := range kinds {
			for _, compressor := range []string{"", gzip.Name} {
				t.Run(fmt.Sprintf("%s/%s/%q", tr.name, k.name, compressor), func(t *testing.T) {
					w := newWorld(t)
					c := testpb.NewTestServiceClient(tr.dial(t, w, talk()))
					ctx, task := w.task(t)
					var answer *core.Received
					opts := []grpc.CallOption{grpcect.Answer(&answer)}
					if compressor != "" {
						opts = append(opts, grpc.UseCompressor(compressor))
					}
					if err := k.call(ctx, c, opts...); err != nil {
						t.Fatal(err)
					}
					if answer == nil {
						t.Fatal("no answer")
					}
					dispatch, record := w.from.seen.last(t), w.to.seen.last(t)
					if got := answer.Heads()[0].Claims().TaskID; got != record.TaskID {
						t.Errorf("the answer is %v, and the record %v", got, record.TaskID)
					}
					if dispatch.OutHash.Present != k.dispatched || k.dispatched && dispatch.OutHash != record.InpHash {
						t.Errorf("dispatched %v, received %v", dispatch.OutHash, record.InpHash)
					}
					if !record.InpHash.Present || !record.OutHash.Present {
						t.Errorf("the record has the hashes %v and %v", record.InpHash, record.OutHash)
					}
					if record.Ext.Outcome != core.OutcomeOK || record.Ext.Status != 0 {
						t.Errorf("outcome %v, status %d", record.Ext.Outcome, record.Ext.Status)
					}
					if _, err := task.Finish(ctx, core.Completion{}); err != nil {
						t.Fatal(err)
					}
					if end := w.from.seen.last(t); len(end.Pred) != 1 || end.Pred[0] != record.TaskID {
						t.Errorf("the task comes after %v, want the answer %v", end.Pred, record.TaskID)
					}
					for _, s := range []*side{w.from, w.to} {
						if c := s.seen.codes(); len(c) > 0 {
							t.Errorf("%s was told of %v", s.agent.Identity, c)
						}
					}
				})
			}
		}
	}
}
