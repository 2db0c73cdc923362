// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// said returns a caller of one of the kinds that sends messages of these texts, the first
// alone where one is sent.
func said(kind string, texts ...string) caller {
	switch kind {
	case "unary":
		return func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
			_, err := c.Unary(ctx, &testpb.Message{Text: texts[0]}, opts...)
			return err
		}
	case "server stream":
		return func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
			st, err := c.ServerStream(ctx, &testpb.Message{Text: texts[0]}, opts...)
			if err != nil {
				return err
			}
			return drain(st.Recv)
		}
	case "client stream":
		return func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
			st, err := c.ClientStream(ctx, opts...)
			if err != nil {
				return err
			}
			for _, text := range texts {
				if err := st.Send(&testpb.Message{Text: text}); err != nil && !errors.Is(err, io.EOF) {
					return err
				}
			}
			_, err = st.CloseAndRecv()
			return err
		}
	}
	return func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.BidiStream(ctx, opts...)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if err := st.Send(&testpb.Message{Text: text}); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		if err := st.CloseSend(); err != nil {
			return err
		}
		return drain(st.Recv)
	}
}

// hashOfTexts is the hash of messages of these texts as they are on the wire (profile 9.6).
func hashOfTexts(t testing.TB, texts ...string) core.Hash {
	t.Helper()
	h := sha256.New()
	for _, text := range texts {
		b, err := proto.Marshal(&testpb.Message{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	return core.Hash{Sum: [sha256.Size]byte(h.Sum(nil)), Present: true}
}

// headOver mints a token that names messages of these texts.
func (w *world) headOver(t testing.TB, texts ...string) string {
	t.Helper()
	sum := hashOfTexts(t, texts...).Sum
	return w.from.agent.Token(w.to.agent.Identity).With("out_hash", base64.RawURLEncoding.EncodeToString(sum[:])).Sign(t)
}

// oneOrTwo are texts for a kind: two where several are sent.
func oneOrTwo(kind string, texts ...string) []string {
	if kind == "unary" || kind == "server stream" {
		return texts[:1]
	}
	return texts
}

// reads is something between two interceptors that reads some messages before it goes on,
// and hands them on as they were; a negative number means all.
func reads(messages int) between {
	return between{
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(ctx, req)
		},
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			again := &readAgain{ServerStream: ss}
			for n := 0; n != messages; n++ {
				m := &testpb.Message{}
				if err := ss.RecvMsg(m); err != nil {
					again.end = err
					break
				}
				again.messages = append(again.messages, m)
			}
			return handler(srv, again)
		},
	}
}

// readAgain is a stream some of whose messages were read before.
type readAgain struct {
	grpc.ServerStream
	messages []*testpb.Message
	end      error
}

// RecvMsg implements grpc.ServerStream.
func (s *readAgain) RecvMsg(m any) error {
	if len(s.messages) == 0 {
		if s.end != nil {
			return s.end
		}
		return s.ServerStream.RecvMsg(m)
	}
	into, ok := m.(proto.Message)
	if !ok {
		return status.Error(codes.Internal, "not a message")
	}
	proto.Merge(into, s.messages[0])
	s.messages = s.messages[1:]
	return nil
}

// TestReadBetween: what stands between two interceptors has read messages before the inner
// one enforces what the outer one observed. Messages that differ from those recorded are
// refused: before the handler and with the token not spent where all of them were read, at
// their end otherwise.
func TestReadBetween(t *testing.T) {
	for _, k := range kinds {
		for _, binding := range []core.BodyBinding{core.BodyMatch, core.BodyRequire} {
			for name, n := range map[string]int{"nothing": 0, "one": 1, "all": -1} {
				for _, differs := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%v/%s read/%t", k.name, binding, name, differs), func(t *testing.T) {
						recorded := oneOrTwo(k.name, "one", "two")
						sent := recorded
						if differs {
							sent = oneOrTwo(k.name, "another", "two")
						}
						w := newWorld(t, func(w *world) { w.to.policy.Body = binding })
						w.chain(mode(core.Observe), func(hook *grpcect.Codec) []between {
							return []between{reads(n), mounted(w.to.service, hook)}
						})
						called := 0
						var states []core.BodyState
						service := hooked(talk(), func(ctx context.Context) error {
							called++
							task, _ := core.TaskFromContext(ctx)
							states = append(states, task.BodyState())
							return nil
						})
						cc := w.bare(t, service)
						token := w.headOver(t, recorded...)
						o := present(t, cc, said(k.name, sent...), token)

						many := k.name == "client stream" || k.name == "bidi stream"
						whole := n < 0 || !many && n == 1 || k.name == "unary"
						held := whole || !many && binding == core.BodyRequire
						switch {
						case binding == core.BodyRequire && many && !whole:
							o.refused(t, core.CodeBody) // it cannot be held
							if called > 0 {
								t.Error("the handler was called")
							}
						case !differs:
							if o.err != nil || called != 1 {
								t.Fatalf("%v, called %d times", o.err, called)
							}
							want := core.BodyPending
							if held || !many { // a request is read before its handler runs
								want = core.BodyBound
							}
							if states[0] != want {
								t.Errorf("BodyState = %v as the handler begins, want %v", states[0], want)
							}
							if got := w.answer(t, o).Claims().InpHash; got != hashOfTexts(t, sent...) {
								t.Errorf("inp_hash = %v", got)
							}
							present(t, cc, said(k.name, sent...), token).refused(t, core.CodeReplayed)
						default:
							o.refused(t, core.CodeBody)
							if held && called > 0 {
								t.Error("the handler was called")
							}
							again := present(t, cc, said(k.name, recorded...), token)
							if held && again.err != nil {
								t.Errorf("the same token with its messages: %v", again.err)
							} else if !held {
								again.refused(t, core.CodeReplayed)
							}
						}
					})
				}
			}
		}
	}
}

// recovering is a binder that cannot be asked at first.
type recovering struct {
	core.Binder
	asked atomic.Int32
}

// Bind implements core.Binder.
func (b *recovering) Bind(ctx context.Context, u *core.Unverified, e core.Evidence) (core.BoundKey, error) {
	if b.asked.Add(1) == 1 {
		return core.BoundKey{}, core.NewError(core.CodeUnavailable, errors.New("not yet"))
	}
	return b.Binder.Bind(ctx, u, e)
}

// TestSecondLookAlone: the tokens that the outer interceptor could not verify are good when
// the inner one enforces. The call went on as one without a head, so it is refused, and may
// come again.
func TestSecondLookAlone(t *testing.T) {
	for _, inner := range []core.Mode{core.Enforce, core.Optional} {
		for _, k := range kinds {
			for _, records := range []bool{true, false} {
				t.Run(fmt.Sprint(k.name, ", ", inner, ", records ", records), func(t *testing.T) {
					w := newWorld(t)
					v, err := core.NewVerifier(&recovering{Binder: w.domain}, w.to.policy, core.WithObserver(w.to.seen.observer()))
					if err != nil {
						t.Fatal(err)
					}
					issuer := w.to.agent.Issuer(t)
					if !records {
						issuer = nil
					}
					if w.to.service, err = core.NewService(v, issuer, w.to.service.Audiences()); err != nil {
						t.Fatal(err)
					}
					w.mount(mode(core.Observe), mode(inner))
					called := 0
					cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
						called++
						if _, ok := core.ReceivedFromContext(ctx); !ok {
							t.Error("the handler has no head")
						}
						return nil
					}))
					texts := oneOrTwo(k.name, "one", "two")
					token := w.headOver(t, texts...)
					present(t, cc, said(k.name, texts...), token).refused(t, core.CodeUnavailable)
					if called > 0 || len(w.to.seen.tokens()) > 0 {
						t.Errorf("called %d times, issued %d tokens", called, len(w.to.seen.tokens()))
					}
					if codes := w.to.seen.codes(); len(codes) == 0 || slices.ContainsFunc(codes, func(c core.Code) bool { return c != core.CodeUnavailable }) {
						t.Errorf("reported %v", codes)
					}
					if o := present(t, cc, said(k.name, texts...), token); o.err != nil || called != 1 {
						t.Errorf("the same again: %v, called %d times", o.err, called)
					}
				})
			}
		}
	}
}

// TestMessagesUnderObserve: where the interceptors only observe, messages that differ are
// reported and not refused.
func TestMessagesUnderObserve(t *testing.T) {
	for _, k := range kinds {
		for name, m := range map[string]int{"alone": 1, "twice": 2} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				w.mount(slices.Repeat([][]grpcect.Option{mode(core.Observe)}, m)...)
				called := 0
				o := present(t, w.bare(t, hooked(talk(), func(context.Context) error { called++; return nil })), said(k.name, "another", "two"),
					w.headOver(t, oneOrTwo(k.name, "one", "two")...))
				if o.err != nil || called != 1 {
					t.Errorf("%v, called %d times", o.err, called)
				}
				if diff := cmp.Diff([]core.Code{core.CodeBody}, w.to.seen.codes()); diff != "" {
					t.Errorf("reported (-want +got):\n%s", diff)
				}
			})
		}
	}
}
