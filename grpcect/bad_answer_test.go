// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// answering is a world whose service answers by itself, without the server's interceptors.
type answering struct {
	*world
	client testpb.TestServiceClient
	// answer returns what goes into the header and the trailer of a reply to a dispatch.
	answer func(dispatch string) (header, trailer []string)
	// fails is what the calls end with after they were read, nil if they do well.
	fails error
}

// answerTexts are those of the messages of a reply.
var answerTexts = []string{"the", "answer"}

func newAnswering(t *testing.T, edits ...func(*world)) *answering {
	t.Helper()
	a := &answering{world: newWorld(t, edits...)}
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	testpb.RegisterTestServiceServer(server, a.stub())
	run(t, server, l)
	a.client = testpb.NewTestServiceClient(a.connect(t, bufTarget, bufOptions(l)...))
	return a
}

// stub is a service that reads all that comes, and answers.
func (a *answering) stub() *stub {
	reply := func(ctx context.Context) (*testpb.Message, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		dispatch := md[core.CarrierTokens]
		if len(dispatch) == 0 {
			return nil, errors.New("no dispatch came")
		}
		header, trailer := a.answer(dispatch[0])
		if header != nil {
			if err := grpc.SetHeader(ctx, metadata.MD{core.CarrierTokens: header}); err != nil {
				return nil, err
			}
		}
		if trailer != nil {
			if err := grpc.SetTrailer(ctx, metadata.MD{core.CarrierTokens: trailer}); err != nil {
				return nil, err
			}
		}
		return &testpb.Message{Text: answerTexts[0]}, a.fails
	}
	stream := func(ctx context.Context, send func(*testpb.Message) error) error {
		if _, err := reply(ctx); err != nil {
			return err
		}
		for _, text := range answerTexts {
			if err := send(&testpb.Message{Text: text}); err != nil {
				return err
			}
		}
		return nil
	}
	return &stub{
		unary: func(ctx context.Context, _ *testpb.Message) (*testpb.Message, error) { return reply(ctx) },
		serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			return stream(st.Context(), st.Send)
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			if err := drain(st.Recv); err != nil {
				return err
			}
			m, err := reply(st.Context())
			if err != nil {
				return err
			}
			return st.SendAndClose(m)
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			if err := drain(st.Recv); err != nil {
				return err
			}
			return stream(st.Context(), st.Send)
		},
	}
}

// gives is the hash of what a call of a kind is answered with.
func (a *answering) gives(t *testing.T, kind string) core.Hash {
	t.Helper()
	switch {
	case a.fails != nil:
		return core.Hash{} // nothing
	case kind == "unary", kind == "client stream":
		return hashOfTexts(t, answerTexts[:1]...)
	}
	return hashOfTexts(t, answerTexts...)
}

// answered is what came of a call, and of its answer.
type answered struct {
	outcome
	answer *core.Received
}

// call makes a call of a task.
func (a *answering) call(ctx context.Context, call caller) (got answered) {
	got.err = call(ctx, a.client, grpc.Header(&got.header), grpc.Trailer(&got.trailer), grpcect.Answer(&got.answer))
	return got
}

// pred returns what the next thing comes after that a task does.
func pred(ctx context.Context, t *testing.T, task *core.Task) []core.UUID {
	t.Helper()
	i, err := task.Step(ctx, "next", core.StepInput{})
	if err != nil {
		t.Fatal(err)
	}
	return i.Claims().Pred
}

// is holds what came of a call whose answer is not right against the code of the answer and
// the status code of the call.
func (got answered) is(t *testing.T, code core.Code, want codes.Code) {
	t.Helper()
	if core.CodeOf(got.err) != code || status.Code(got.err) != want {
		t.Errorf("the call = %v with code %v, want the error code %v with %v", got.err, status.Code(got.err), code, want)
	}
	if got.answer != nil {
		t.Error("Answer gives one that is bad")
	}
	if n := len(got.tokens()); n > 0 {
		t.Errorf("%d tokens came through", n)
	}
}

// callCode is the status code of a call that did well but for its answer.
func callCode(c core.Code) codes.Code {
	if c == core.CodeBody {
		return codes.DataLoss
	}
	return codes.Internal
}

// TestAnswerTable brings every answer of the kit back, with calls of every kind that do well
// and that fail.
func TestAnswerTable(t *testing.T) {
	for _, row := range append(ecttest.BadAnswers(), ecttest.GoodAnswers()...) {
		for _, k := range kinds {
			for policy, optional := range map[string]core.AnswerPolicy{"required": core.AnswerRequired, "optional": core.AnswerOptional} {
				for _, fails := range []error{nil, status.Error(codes.NotFound, "no such thing")} {
					t.Run(fmt.Sprintf("%s/%s/%s/%v", row.Name, k.name, policy, status.Code(fails)), func(t *testing.T) {
						a := newAnswering(t, func(w *world) { w.from.tells.Answer = optional })
						texts := oneOrTwo(k.name, "what was", "sent")
						peer := row.Peer(a.domain, a.from.agent, a.to.agent)
						a.answer = func(dispatch string) (header, trailer []string) {
							return nil, peer.Answer(t, dispatch, ecttest.Exchanged{Got: hashOfTexts(t, texts...), Gives: a.gives(t, k.name)})
						}
						ctx, task := a.task(t)
						if first := a.call(ctx, said(k.name, texts...)); first.err != nil || first.answer == nil {
							t.Fatalf("the first call = %v, answered %v", first.err, first.answer)
						}
						a.fails = fails
						got := a.call(ctx, said(k.name, texts...))
						dispatch := a.from.seen.last(t).TaskID
						told := a.from.seen.codes()
						want := status.Code(fails)
						if row.Code == 0 {
							if status.Code(got.err) != want || core.CodeOf(got.err) != 0 || got.answer == nil || len(told) > 0 {
								t.Fatalf("the call = %v, answered %v, told of %v; want it with code %v", got.err, got.answer, told, want)
							}
							if pred := pred(ctx, t, task); !slices.Equal(pred, []core.UUID{got.answer.Heads()[0].Claims().TaskID}) {
								t.Errorf("pred = %v, want the answer", pred)
							}
							return
						}
						if fails == nil {
							want = callCode(row.Code)
						}
						got.is(t, row.Code, want)
						if diff := cmp.Diff([]core.Code{row.Code}, told); diff != "" {
							t.Errorf("reported (-want +got):\n%s", diff)
						}
						if row.Code == core.CodeBody {
							return // the answer itself is good
						}
						if pred := pred(ctx, t, task); !slices.Equal(pred, []core.UUID{dispatch}) {
							t.Errorf("pred = %v, want the dispatch %v", pred, dispatch)
						}
					})
				}
			}
		}
	}
}

// TestAnswerMissing: no answer, or one that holds nothing, fails a call where one is
// required; and an answer in the header is malformed everywhere, alone too.
func TestAnswerMissing(t *testing.T) {
	good := func(a *answering, dispatch string) string {
		return a.to.agent.Token(a.from.agent.Identity).After(t, true, dispatch).Sign(t)
	}
	for _, c := range []struct {
		name   string
		answer func(a *answering, dispatch string) (header, trailer []string)
		// required and optional are the codes under either policy.
		required, optional core.Code
	}{
		{"none", func(*answering, string) (header, trailer []string) { return nil, nil }, core.CodeAnswer, 0},
		{"empty", func(*answering, string) (header, trailer []string) { return nil, []string{""} }, core.CodeAnswer, 0},
		{"empty elements", func(*answering, string) (header, trailer []string) { return nil, []string{" ,", ", ,"} }, core.CodeAnswer, 0},
		{"in the header", func(a *answering, dispatch string) (header, trailer []string) {
			return []string{good(a, dispatch)}, nil
		}, core.CodeMalformed, core.CodeMalformed},
		{"in both", func(a *answering, dispatch string) (header, trailer []string) {
			g := good(a, dispatch)
			return []string{g}, []string{g}
		}, core.CodeMalformed, core.CodeMalformed},
	} {
		for _, k := range kinds {
			for policy, code := range map[core.AnswerPolicy]core.Code{core.AnswerRequired: c.required, core.AnswerOptional: c.optional} {
				t.Run(fmt.Sprintf("%s/%s/%v", c.name, k.name, policy), func(t *testing.T) {
					a := newAnswering(t, func(w *world) { w.from.tells.Answer = policy })
					a.answer = func(dispatch string) (header, trailer []string) { return c.answer(a, dispatch) }
					ctx, task := a.task(t)
					got := a.call(ctx, said(k.name, oneOrTwo(k.name, "what was", "sent")...))
					dispatch := a.from.seen.last(t).TaskID
					want := codes.OK
					var told []core.Code
					if code != 0 {
						want, told = codes.Internal, []core.Code{code}
					}
					got.is(t, code, want)
					if diff := cmp.Diff(told, a.from.seen.codes()); diff != "" {
						t.Errorf("reported (-want +got):\n%s", diff)
					}
					if pred := pred(ctx, t, task); !slices.Equal(pred, []core.UUID{dispatch}) {
						t.Errorf("pred = %v, want the dispatch", pred)
					}
				})
			}
		}
	}
}

// TestBadTokensAsAnswers presents every kind of bad token as an answer.
func TestBadTokensAsAnswers(t *testing.T) {
	for _, k := range kinds {
		a := newAnswering(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
		for _, bad := range ecttest.BadTokens() {
			token := bad.Mint(t, a.domain, a.to.agent, a.from.agent.Identity)
			if !onWire(token) {
				continue
			}
			t.Run(k.name+"/"+bad.Name, func(t *testing.T) {
				a.answer = func(string) (header, trailer []string) { return nil, []string{token} }
				ctx, task := a.task(t)
				got := a.call(ctx, said(k.name, oneOrTwo(k.name, "what was", "sent")...))
				dispatch := a.from.seen.last(t).TaskID
				// Most are refused for what they are, all others for naming no dispatch.
				if core.CodeOf(got.err) == 0 || status.Code(got.err) != codes.Internal || got.answer != nil || len(got.tokens()) > 0 {
					t.Errorf("the call = %v, answered %v; want code %v", got.err, got.answer, bad.Code)
				}
				if pred := pred(ctx, t, task); !slices.Equal(pred, []core.UUID{dispatch}) {
					t.Errorf("pred = %v, want the dispatch", pred)
				}
			})
		}
	}
}
