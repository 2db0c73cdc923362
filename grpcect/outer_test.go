// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// outerKey is where interceptors further out put something for handlers.
type outerKey struct{}

// watcher stands further out, as a logger does, and keeps what it sees. Its stream is made
// as go-grpc-middleware makes them: with a context of its own.
type watcher struct {
	mu         sync.Mutex
	sent, read []proto.Message
	calls      []string
}

func (w *watcher) note(call string, list *[]proto.Message, m any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
	if list != nil {
		p, _ := m.(proto.Message)
		*list = append(*list, p)
	}
}

// options returns it as a server takes it.
func (w *watcher) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			w.note("RecvMsg", &w.read, req)
			reply, err := handler(context.WithValue(ctx, outerKey{}, "outer"), req)
			w.note("SendMsg", &w.sent, reply)
			return reply, err
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return handler(srv, &watchedStream{ss, context.WithValue(ss.Context(), outerKey{}, "outer"), w})
		}),
	}
}

type watchedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
	w   *watcher
}

func (s *watchedStream) Context() context.Context { return s.ctx }

func (s *watchedStream) SendMsg(m any) error {
	s.w.note("SendMsg", &s.w.sent, m)
	return s.ServerStream.SendMsg(m)
}

func (s *watchedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.w.note("RecvMsg", &s.w.read, m)
	}
	return err
}

func (s *watchedStream) SetHeader(md metadata.MD) error {
	s.w.note("SetHeader", nil, nil)
	return s.ServerStream.SetHeader(md)
}

func (s *watchedStream) SendHeader(md metadata.MD) error {
	s.w.note("SendHeader", nil, nil)
	return s.ServerStream.SendHeader(md)
}

func (s *watchedStream) SetTrailer(md metadata.MD) {
	s.w.note("SetTrailer", nil, nil)
	s.ServerStream.SetTrailer(md)
}

// TestOuterSees: what stands further out sees the messages of every call as protobuf's, what
// it puts into the context reaches the handler, and so do calls of a stream reach it.
func TestOuterSees(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			watch := &watcher{}
			w := newWorld(t, func(w *world) { w.serverOptions = append(w.serverOptions, watch.options()...) })
			fixed := gives(message(2))
			fixed.bidi = talk().bidi // which answers each
			s := hooked(fixed, func(ctx context.Context) error {
				if ctx.Value(outerKey{}) != "outer" {
					t.Error("the handler does not see the outer context")
				}
				if _, ok := core.TaskFromContext(ctx); !ok {
					t.Error("the handler does not see its task")
				}
				return nil
			})
			handler := s.bidi
			s.bidi = func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
				if err := st.SetHeader(metadata.Pairs("a", "b")); err != nil {
					return err
				}
				if err := st.SendHeader(metadata.Pairs("c", "d")); err != nil {
					return err
				}
				st.SetTrailer(metadata.Pairs("e", "f"))
				return handler(st)
			}
			c := testpb.NewTestServiceClient(dialBufconn(t, w, s))
			ctx, _ := w.task(t)
			if err := k.call(ctx, c); err != nil {
				t.Fatal(err)
			}
			w.to.seen.await(t)
			watch.mu.Lock()
			defer watch.mu.Unlock()
			for what, list := range map[string][]proto.Message{"sent": watch.sent, "read": watch.read} {
				if len(list) == 0 {
					t.Errorf("nothing was %s", what)
				}
				for _, m := range list {
					if m == nil || m.ProtoReflect().Descriptor().FullName() != "ect.test.v1.Message" || proto.Size(m) == 0 {
						t.Errorf("%s: %v", what, m)
					}
				}
			}
			if k.name != "bidi stream" {
				return
			}
			// The interceptors set the trailer once more: the answer is in it.
			for call, want := range map[string]int{"SetHeader": 1, "SendHeader": 1, "SetTrailer": 2, "SendMsg": 3, "RecvMsg": 3} {
				n := 0
				for _, c := range watch.calls {
					if c == call {
						n++
					}
				}
				if n != want {
					t.Errorf("%s was called %d times, want %d: %v", call, n, want, watch.calls)
				}
			}
		})
	}
}

// payloads is a stats handler that keeps the payloads it is told of, as tracers may.
type payloads struct {
	mu      sync.Mutex
	in, out []any
}

func (*payloads) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*payloads) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*payloads) HandleConn(context.Context, stats.ConnStats)                       {}

func (p *payloads) HandleRPC(_ context.Context, s stats.RPCStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s := s.(type) {
	case *stats.InPayload:
		p.in = append(p.in, s.Payload)
	case *stats.OutPayload:
		p.out = append(p.out, s.Payload)
	}
}

// TestStatsSee: stats handlers of both sides are told of messages as protobuf's, and hashes
// are what they are without them.
func TestStatsSee(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			client, server := &payloads{}, &payloads{}
			w := newWorld(t, requireOnClient, func(w *world) {
				w.serverOptions = append(w.serverOptions, grpc.StatsHandler(server))
				w.dialOptions = append(w.dialOptions, grpc.WithStatsHandler(client))
			})
			ctx, _ := w.task(t)
			if err := k.call(ctx, testpb.NewTestServiceClient(dialBufconn(t, w, talk()))); err != nil {
				t.Fatal(err)
			}
			w.to.seen.await(t)
			for _, p := range []*payloads{client, server} {
				p.mu.Lock()
				all := slices.Concat(p.in, p.out)
				if len(p.in) == 0 || len(p.out) == 0 {
					t.Errorf("%d and %d messages", len(p.in), len(p.out))
				}
				p.mu.Unlock()
				for _, m := range all {
					if p, ok := m.(proto.Message); !ok || p.ProtoReflect().Descriptor().FullName() != "ect.test.v1.Message" {
						t.Errorf("a message of type %T", m)
					}
				}
			}
		})
	}
}
