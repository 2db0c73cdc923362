// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// receiptsKey is where receipts are in metadata (profile 8.3).
const receiptsKey = "execution-context-receipt-bin"

// foreign is metadata with somebody's token and receipt in it, and something else.
func foreign(token string) metadata.MD {
	return metadata.Pairs(core.CarrierTokens, token, core.CarrierTokens, token, receiptsKey, "a receipt", "x-own", "kept")
}

// clean holds metadata that somebody sees against foreign: nothing but the rest is left.
func clean(t testing.TB, where string, md metadata.MD) {
	t.Helper()
	if len(md[core.CarrierTokens]) > 0 || len(md[receiptsKey]) > 0 {
		t.Errorf("%s has tokens or receipts: %v", where, md)
	}
	if diff := cmp.Diff([]string{"kept"}, md["x-own"]); diff != "" {
		t.Errorf("%s, the rest (-want +got):\n%s", where, diff)
	}
}

// TestIncomingStripped: a handler sees no tokens and no receipts in the incoming metadata,
// whatever became of them, and all the rest of it (profile 9.8).
func TestIncomingStripped(t *testing.T) {
	for _, m := range modes {
		for _, k := range kinds {
			for _, bad := range []bool{false, true} {
				for _, records := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s/%s/bad %t/records %t", m.name, k.name, bad, records), func(t *testing.T) {
						w := newWorld(t)
						w.server = mode(m.mode)
						if !records {
							w.verifyOnly(t)
						}
						token := w.head(t)
						if bad {
							token += "."
						}
						called := false
						cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
							called = true
							md, _ := metadata.FromIncomingContext(ctx)
							clean(t, "incoming metadata", md)
							if v := metadata.ValueFromIncomingContext(ctx, "Execution-Context"); len(v) > 0 {
								t.Errorf("%d values", len(v))
							}
							return nil
						}))
						ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), foreign(token)), patience)
						defer cancel()
						err := k.call(ctx, testpb.NewTestServiceClient(cc))
						if refused := bad && m.refuses; (err != nil) != refused || called == refused {
							t.Errorf("%v, called %t", err, called)
						}
					})
				}
			}
		}
	}
}

// sets is a service whose handlers set header and trailer metadata, by their stream or by
// their context, before they do what they do.
func sets(byContext, send bool, md metadata.MD) *stub {
	s := talk()
	set := func(ctx context.Context, st grpc.ServerStream) error {
		if byContext || st == nil {
			header := grpc.SetHeader
			if send {
				header = grpc.SendHeader
			}
			return errors.Join(header(ctx, md), grpc.SetTrailer(ctx, md))
		}
		st.SetTrailer(md)
		if send {
			return st.SendHeader(md)
		}
		return st.SetHeader(md)
	}
	return &stub{
		unary: func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
			if err := set(ctx, nil); err != nil {
				return nil, err
			}
			return s.unary(ctx, m)
		},
		serverStream: func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			return cmpOr(set(st.Context(), st), func() error { return s.serverStream(m, st) })
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			return cmpOr(set(st.Context(), st), func() error { return s.clientStream(st) })
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			return cmpOr(set(st.Context(), st), func() error { return s.bidi(st) })
		},
	}
}

func cmpOr(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// TestCallerStripped: what a caller asks for of header and trailer has no tokens and no
// receipts, whether the peer is one that tokens go to or not.
func TestCallerStripped(t *testing.T) {
	for _, named := range []bool{true, false} {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s, named %t", k.name, named), func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
				md := foreign(w.to.agent.Token(w.from.agent.Identity).Sign(t))
				if named { // the answer of another call, in the trailer alone
					md.Delete(receiptsKey)
				} else {
					w.client = nil
				}
				cc := w.plainFrom(t, sets(false, false, md))
				ctx, _ := w.task(t)
				var header, trailer metadata.MD
				err := k.call(ctx, testpb.NewTestServiceClient(cc), grpc.Header(&header), grpc.Trailer(&trailer))
				if (core.CodeOf(err) != 0) != named || !named && err != nil {
					t.Errorf("the call = %v", err)
				}
				clean(t, "the header", header)
				clean(t, "the trailer", trailer)
			})
		}
	}
}

// TestStreamStripped: nor have the methods of a client's stream.
func TestStreamStripped(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprint("named ", named), func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
			if !named {
				w.client = nil
			}
			cc := w.plainFrom(t, sets(false, false, foreign(w.head(t))))
			ctx, _ := w.task(t)
			st, err := testpb.NewTestServiceClient(cc).ServerStream(ctx, message(1))
			if err != nil {
				t.Fatal(err)
			}
			md, err := st.Header()
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "the header", md)
			for err == nil {
				_, err = st.Recv()
			}
			if named != (core.CodeOf(err) == core.CodeMalformed) || !named && !errors.Is(err, io.EOF) {
				t.Errorf("the end = %v", err)
			}
			clean(t, "the trailer", st.Trailer())
		})
	}
}

// TestOutgoingStripped: a caller that hands on the metadata that came to it hands no tokens on,
// neither to a peer that gets its own nor to one that gets none.
func TestOutgoingStripped(t *testing.T) {
	for _, named := range []bool{true, false} {
		for _, appended := range []bool{false, true} {
			for _, k := range kinds {
				t.Run(fmt.Sprintf("%s, named %t, appended %t", k.name, named, appended), func(t *testing.T) {
					w := newWorld(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
					if !named {
						w.client = nil
					}
					var got metadata.MD
					cc := w.plainFrom(t, hooked(talk(), func(ctx context.Context) error {
						got, _ = metadata.FromIncomingContext(ctx)
						return nil
					}))
					ctx, _ := w.task(t)
					token := w.head(t)
					if appended {
						ctx = metadata.AppendToOutgoingContext(ctx, "Execution-Context", token, "Execution-Context-Receipt-Bin", "a receipt", "x-own", "kept")
					} else {
						ctx = metadata.NewOutgoingContext(ctx, foreign(token))
					}
					if err := k.call(ctx, testpb.NewTestServiceClient(cc)); err != nil {
						t.Fatal(err)
					}
					if named {
						dispatch := w.from.seen.tokens()[0]
						if diff := cmp.Diff([]string{dispatch.Text()}, got[core.CarrierTokens]); diff != "" {
							t.Errorf("the peer got (-want +got):\n%s", diff)
						}
						delete(got, core.CarrierTokens)
					} else if n := len(w.from.seen.tokens()); n > 0 {
						t.Errorf("issued %d tokens for a peer that gets none", n)
					}
					clean(t, "the peer's metadata", got)
					// What the caller keeps is untouched.
					if md, _ := metadata.FromOutgoingContext(ctx); md[core.CarrierTokens][0] != token {
						t.Error("the caller's own metadata was changed")
					}
				})
			}
		}
	}
}

// TestHandlerStripped: tokens and receipts that a handler puts into header and trailer do not
// go out, however it does that; the rest does, and this service's answer.
func TestHandlerStripped(t *testing.T) {
	for _, k := range kinds {
		for _, byContext := range []bool{true, false} {
			for _, send := range []bool{true, false} {
				for _, c := range []struct {
					name     string
					mode     core.Mode
					good     bool
					records  bool
					answered bool
				}{
					{"answered", core.Enforce, true, true, true},
					{"observed", core.Observe, false, true, false},
					{"not recorded", core.Optional, false, true, false},
					{"verify only", core.Enforce, true, false, false},
				} {
					t.Run(fmt.Sprintf("%s/by context %t/sent %t/%s", k.name, byContext, send, c.name), func(t *testing.T) {
						w := newWorld(t)
						w.server = mode(c.mode)
						if !c.records {
							w.verifyOnly(t)
						}
						cc := w.bare(t, sets(byContext, send, foreign(w.head(t))))
						var tokens []string
						if c.good {
							tokens = []string{w.head(t)}
						}
						o := present(t, cc, k.call, tokens...)
						if o.err != nil {
							t.Fatal(o.err)
						}
						if c.answered {
							w.answer(t, o)
							delete(o.trailer, core.CarrierTokens)
						}
						clean(t, "the header", o.header)
						clean(t, "the trailer", o.trailer)
						if n := len(w.to.seen.unsent); n > 0 {
							t.Errorf("%d tokens were not sent", n)
						}
					})
				}
			}
		}
	}
}
