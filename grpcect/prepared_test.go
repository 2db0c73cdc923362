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

// prepares is a service that reads all and then sends messages of which some were serialized
// before.
func prepares(prepared ...bool) *stub {
	send := func(st grpc.ServerStream) error {
		for _, p := range prepared {
			if err := sendPrepared(st, message(1), p); err != nil {
				return err
			}
		}
		return nil
	}
	return &stub{
		serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error { return send(st) },
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			for {
				if _, err := st.Recv(); errors.Is(err, io.EOF) {
					return sendPrepared(st, message(1), prepared[0])
				} else if err != nil {
					return err
				}
			}
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			if err := drain(st.Recv); err != nil {
				return err
			}
			return send(st)
		},
	}
}

// sender is a stream of either side.
type sender interface {
	Context() context.Context
	SendMsg(m any) error
	RecvMsg(m any) error
}

// sendPrepared sends a message, serialized before or not.
func sendPrepared(st sender, m *testpb.Message, prepared bool) error {
	if !prepared {
		return st.SendMsg(m)
	}
	p := &grpc.PreparedMsg{}
	if err := p.Encode(st, m); err != nil {
		return err
	}
	return st.SendMsg(p)
}

// TestPreparedByServer: messages that a handler serialized before are sent, and its record
// says nothing of what it sent, which nobody takes for a difference.
func TestPreparedByServer(t *testing.T) {
	for _, prepared := range [][]bool{{true}, {true, true}, {true, false}, {false, true}} {
		for _, k := range wireKinds[1:] {
			for _, compressor := range []string{"", gzip.Name} {
				t.Run(fmt.Sprintf("%v/%s/%q", prepared, k.name, compressor), func(t *testing.T) {
					w := newWorld(t)
					cc := dialBufconn(t, w, prepares(prepared...))
					ctx, _ := w.task(t)
					var answer *core.Received
					opts := []grpc.CallOption{grpcect.Answer(&answer)}
					if compressor != "" {
						opts = append(opts, grpc.UseCompressor(compressor))
					}
					_, came, err := exchange(ctx, cc, k.method, message(1), 2, opts...)
					if err != nil || answer == nil || k.method != "ClientStream" && came != len(prepared) {
						t.Fatalf("the call = %v, answered %t, %d messages came", err, answer != nil, came)
					}
					seen := k.method == "ClientStream" && !prepared[0]
					if record := w.to.seen.last(t); !record.InpHash.Present || record.OutHash.Present != seen {
						t.Errorf("inp_hash = %v, out_hash = %v", record.InpHash, record.OutHash)
					}
				})
			}
		}
	}
}

// TestPreparedByClient: messages that a caller serialized before are sent, and hash what they
// are for the peer alone.
func TestPreparedByClient(t *testing.T) {
	for _, prepared := range [][]bool{{true}, {true, true}, {true, false}, {false, true}} {
		for name, desc := range map[string]*grpc.StreamDesc{"ClientStream": {ClientStreams: true}, "BidiStream": {ClientStreams: true, ServerStreams: true}} {
			t.Run(fmt.Sprintf("%v/%s", prepared, name), func(t *testing.T) {
				w := newWorld(t)
				cc := dialBufconn(t, w, sends(message(1), 2))
				ctx, _ := w.task(t)
				var answer *core.Received
				st, err := cc.NewStream(ctx, desc, servicePath+name, grpcect.Answer(&answer))
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range prepared {
					if err := sendPrepared(st, message(1), p); err != nil {
						t.Fatal(err)
					}
				}
				if err := st.CloseSend(); err != nil {
					t.Fatal(err)
				}
				if err := drainStream(st, desc); err != nil || answer == nil {
					t.Fatalf("the call = %v, answered %t", err, answer != nil)
				}
				if record := w.to.seen.last(t); !record.InpHash.Present || !record.OutHash.Present {
					t.Errorf("inp_hash = %v, out_hash = %v", record.InpHash, record.OutHash)
				}
			})
		}
	}
}

// drainStream receives what there is.
func drainStream(st grpc.ClientStream, desc *grpc.StreamDesc) error {
	recv := func() (*testpb.Message, error) { m := new(testpb.Message); return m, st.RecvMsg(m) }
	if desc.ServerStreams {
		return drain(recv)
	}
	_, err := recv()
	return err
}

// TestPreparedElsewhere: a request that was serialized for another stream begins a call whose
// dispatch names none.
func TestPreparedElsewhere(t *testing.T) {
	for name, binding := range bindings {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.to.policy.Body = binding })
			cc := dialBufconn(t, w, sends(message(1), 2))
			ctx, _ := w.task(t)
			elsewhere, cancel := context.WithCancel(ctx)
			defer cancel()
			bidi, err := cc.NewStream(elsewhere, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, servicePath+"BidiStream")
			if err != nil {
				t.Fatal(err)
			}
			p := &grpc.PreparedMsg{}
			if err := p.Encode(bidi, message(1)); err != nil {
				t.Fatal(err)
			}
			cancel()
			desc := &grpc.StreamDesc{ServerStreams: true}
			var answer *core.Received
			st, err := cc.NewStream(ctx, desc, servicePath+"ServerStream", grpcect.Answer(&answer))
			if err != nil {
				t.Fatal(err)
			}
			if err := st.SendMsg(p); err != nil {
				t.Fatal(err)
			}
			if err := st.CloseSend(); err != nil {
				t.Fatal(err)
			}
			err = drainStream(st, desc)
			if binding == core.BodyRequire {
				outcome{err: err}.refused(t, core.CodeBody)
				return
			}
			if err != nil || answer == nil || !answer.Heads()[0].InpHash().Present || w.from.seen.last(t).OutHash.Present {
				t.Errorf("the call = %v, answered %t, dispatched %v", err, answer != nil, w.from.seen.last(t).OutHash)
			}
		})
	}
}
