// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestServerWithoutHook: a server whose messages do not pass the interceptors' codec refuses
// every call that has a message, under every policy and mode, and whichever side sends it.
func TestServerWithoutHook(t *testing.T) {
	sendsFirst := talk()
	sendsFirst.bidi = func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
		return st.Send(message(1))
	}
	for name, wiring := range map[string]func(w *world) []grpc.ServerOption{
		"the option is not passed": func(w *world) []grpc.ServerOption {
			return grpcect.ServerOptions(w.to.service, w.server...)[1:]
		},
		"another codec after it": func(w *world) []grpc.ServerOption {
			return append(grpcect.ServerOptions(w.to.service, w.server...), grpc.ForceServerCodecV2(encoding.GetCodecV2("proto")))
		},
		"the hook of another server": func(w *world) []grpc.ServerOption {
			return append(grpcect.ServerOptions(w.to.service, w.server...), grpcect.NewCodec(nil).ServerOption())
		},
	} {
		for policy, binding := range map[string]core.BodyBinding{"ignore": core.BodyIgnore, "match": core.BodyMatch, "require": core.BodyRequire} {
			for _, mode := range []core.Mode{core.Enforce, core.Observe} {
				for _, k := range kinds {
					if k.name == "bidi stream" && name == "the hook of another server" {
						continue // whose one message passes a hook, if another one
					}
					t.Run(name+"/"+policy+"/"+k.name, func(t *testing.T) {
						w := newWorld(t, func(w *world) {
							w.to.policy.Body = binding
							w.server = append(w.server, grpcect.WithMode(mode))
							w.from.tells.Answer = core.AnswerOptional
						})
						var ran atomic.Int32
						l := bufconn.Listen(1 << 20)
						server := grpc.NewServer(wiring(w)...)
						testpb.RegisterTestServiceServer(server, counted(sendsFirst, &ran))
						run(t, server, l)
						cc := w.connect(t, bufTarget, bufOptions(l)...)
						ctx, _ := w.task(t)
						err := bulkCall(ctx, testpb.NewTestServiceClient(cc), k.name)
						switch held := binding == core.BodyRequire && mode == core.Enforce; {
						case held && k.name == "server stream" && name != "the hook of another server":
							// grpc-go ends the call when the codec is given what it does not know.
							if status.Code(err) != codes.Internal {
								t.Errorf("the call = %v, want codes.Internal", err)
							}
						case held && !k.dispatched:
							outcome{err: err}.refused(t, core.CodeBody)
						default:
							outcome{err: err}.refused(t, core.CodeUnavailable)
						}
						if k.dispatched && ran.Load() > 0 {
							t.Error("the handler ran")
						}
					})
				}
			}
		}
	}
}

// TestOuterReplacesRequest: a request that an interceptor further out put in the place of
// the one that came is not what is recorded, and is refused.
func TestOuterReplacesRequest(t *testing.T) {
	copied := func(m any) any {
		p, _ := m.(proto.Message)
		return proto.Clone(p)
	}
	w := newWorld(t, func(w *world) {
		w.serverOptions = append(w.serverOptions,
			grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				return handler(ctx, copied(req))
			}),
			grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				return handler(srv, &wrapped{ServerStream: ss, recv: func(below, m any) {
					to, _ := m.(proto.Message)
					from, _ := below.(proto.Message)
					proto.Merge(to, from)
				}})
			}))
	})
	var ran atomic.Int32
	c := testpb.NewTestServiceClient(dialBufconn(t, w, counted(talk(), &ran)))
	for _, k := range kinds {
		ctx, _ := w.task(t)
		outcome{err: k.call(ctx, c)}.refused(t, core.CodeUnavailable)
		if k.dispatched && ran.Load() > 0 {
			t.Errorf("%s: the handler ran", k.name)
		}
	}
}

// TestOuterReplacesReply: what an interceptor further out puts in the place of a reply is
// not what the record names. A stream is refused for it, and the client sees it of a unary
// call.
func TestOuterReplacesReply(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.serverOptions = append(w.serverOptions,
			grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if _, err := handler(ctx, req); err != nil {
					return nil, err
				}
				return message(9), nil
			}),
			grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				return handler(srv, &wrapped{ServerStream: ss, send: func(any) any { return message(9) }})
			}))
	})
	c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	for _, k := range kinds {
		ctx, _ := w.task(t)
		err := k.call(ctx, c)
		if k.name != "unary" {
			outcome{err: err}.refused(t, core.CodeUnavailable)
		} else if core.CodeOf(err) != core.CodeBody {
			t.Errorf("unary = %v, want it to differ", err)
		}
	}
}

// wrapped is a stream that changes messages on their way.
type wrapped struct {
	grpc.ServerStream
	send func(any) any
	recv func(below, m any)
}

func (s *wrapped) SendMsg(m any) error {
	if s.send != nil {
		m = s.send(m)
	}
	return s.ServerStream.SendMsg(m)
}

func (s *wrapped) RecvMsg(m any) error {
	if s.recv == nil {
		return s.ServerStream.RecvMsg(m)
	}
	below := &testpb.Message{}
	if err := s.ServerStream.RecvMsg(below); err != nil {
		return err
	}
	s.recv(below, m)
	return nil
}
