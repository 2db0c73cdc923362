// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// hooked is a service that does something before it does what it would.
func hooked(s *stub, f func(context.Context) error) *stub {
	return &stub{
		unary: func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
			if err := f(ctx); err != nil {
				return nil, err
			}
			return s.unary(ctx, m)
		},
		serverStream: func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			if err := f(st.Context()); err != nil {
				return err
			}
			return s.serverStream(m, st)
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			if err := f(st.Context()); err != nil {
				return err
			}
			return s.clientStream(st)
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			if err := f(st.Context()); err != nil {
				return err
			}
			return s.bidi(st)
		},
	}
}

// bare returns a connection to the world's service whose calls are what a test makes them.
func (w *world) bare(t testing.TB, s *stub) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	w.serve(t, l, s)
	return dial(t, bufTarget, bufOptions(l)...)
}

// plainServer is a server of the stub that this package has no part in.
func plainServer(t testing.TB, s *stub, opts ...grpc.ServerOption) *bufconn.Listener {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(server, s)
	run(t, server, l)
	return l
}

// plain returns a connection to a plainServer that adds nothing to calls.
func plain(t testing.TB, s *stub) *grpc.ClientConn {
	t.Helper()
	return dial(t, bufTarget, bufOptions(plainServer(t, s))...)
}

// plainFrom returns a connection to a plainServer whose calls are recorded.
func (w *world) plainFrom(t testing.TB, s *stub, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	return w.connect(t, bufTarget, append(opts, bufOptions(plainServer(t, s))...)...)
}

// head mints a good token from the caller.
func (w *world) head(t testing.TB) string {
	t.Helper()
	return w.from.agent.Token(w.to.agent.Identity).Sign(t)
}

// unsigned mints an L1 token from the caller.
func (w *world) unsigned(t testing.TB) string {
	t.Helper()
	return w.from.agent.Token(w.to.agent.Identity).Unsigned(t)
}

// acceptL1 makes the service take unsigned tokens.
func acceptL1(w *world) { w.to.policy.MinLevel = core.L1 }

// verifyOnly makes the service one that records nothing.
func (w *world) verifyOnly(t testing.TB) {
	t.Helper()
	v, err := core.NewVerifier(w.domain, w.to.policy, append(w.to.options, core.WithObserver(w.to.seen.observer()))...)
	if err != nil {
		t.Fatal(err)
	}
	if w.to.service, err = core.NewService(v, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// records returns a channel that gets every token that a side issues. It is for edits of a
// world.
func (s *side) records() <-chan *core.Issued {
	issued := make(chan *core.Issued, 1<<10)
	s.options = append(s.options, core.WithObserver(core.Observer{Issued: func(_ context.Context, i *core.Issued) { issued <- i }}))
	return issued
}

// next waits for a token.
func next(t testing.TB, issued <-chan *core.Issued) core.Claims {
	t.Helper()
	select {
	case i := <-issued:
		return i.Claims()
	case <-time.After(patience):
		t.Fatal("nothing was issued")
		return core.Claims{}
	}
}

// outcome is what came of a call.
type outcome struct {
	err             error
	header, trailer metadata.MD
}

// caller makes a call of some kind.
type caller func(context.Context, testpb.TestServiceClient, ...grpc.CallOption) error

// present makes a call with tokens in its metadata.
func present(t testing.TB, cc *grpc.ClientConn, call caller, tokens ...string) (o outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if tokens != nil {
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD{core.CarrierTokens: tokens})
	}
	o.err = call(ctx, testpb.NewTestServiceClient(cc), grpc.Header(&o.header), grpc.Trailer(&o.trailer))
	return o
}

// tokens returns what came back.
func (o outcome) tokens() []string {
	return slices.Concat(o.header[core.CarrierTokens], o.trailer[core.CarrierTokens])
}

// refused holds a call against a refusal (profile 9.4), without detail.
func (o outcome) refused(t testing.TB, code core.Code) {
	t.Helper()
	isRefusal(t, o.err, code, nil)
	if n := len(o.tokens()); n > 0 {
		t.Errorf("%d tokens came with a refusal", n)
	}
}

// isRefusal holds an error against a refusal.
func isRefusal(t testing.TB, err error, code core.Code, detail map[string]string) {
	t.Helper()
	st, ok := status.FromError(err)
	class := code.Class()
	want := refusals[class]
	if !ok || st.Code() != want.code || st.Message() != class.Sentence() {
		t.Fatalf("the call = %v; want it refused as %v with code %v", err, class, want.code)
	}
	if got, ok := grpcect.RefusedAs(err); !ok || got != class {
		t.Errorf("RefusedAs = %v, %t; want %v", got, ok, class)
	}
	infos, delays := 0, 0
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			infos++
			if d.GetDomain() != errorDomain || d.GetReason() != want.reason || len(d.GetMetadata()) != len(detail) || d.GetMetadata()["check"] != detail["check"] {
				t.Errorf("ErrorInfo = %v, want the reason %s and the metadata %v", d, want.reason, detail)
			}
		case *errdetails.RetryInfo:
			delays++
			if d.GetRetryDelay().AsDuration() <= 0 {
				t.Errorf("RetryInfo = %v", d)
			}
		default:
			t.Errorf("a detail of type %T", d)
		}
	}
	if infos != 1 || (delays == 1) != (class == core.ClassUnavailable) {
		t.Errorf("%d ErrorInfo and %d RetryInfo for %v", infos, delays, class)
	}
}

// answer verifies the answer that came with a call to the world's caller.
func (w *world) answer(t testing.TB, o outcome) *core.Verified {
	t.Helper()
	p := w.from.agent.Policy()
	p.Missing = core.AllowPartial // the test minted the head itself
	v, err := core.NewVerifier(w.domain, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.header[core.CarrierTokens]) > 0 || len(o.trailer[core.CarrierTokens]) != 1 {
		t.Fatalf("header %v, trailer %v, error %v; want one token in the trailer", o.header, o.trailer, o.err)
	}
	got, err := v.Verify(t.Context(), core.Presented{Values: o.trailer[core.CarrierTokens]})
	if err != nil {
		t.Fatalf("the answer: %v", err)
	}
	return got.Heads()[0]
}

// equateEmpty is for lists that may be nil.
var equateEmpty = cmpopts.EquateEmpty()

// parse reads a token.
func parse(t testing.TB, token string) *core.Unverified {
	t.Helper()
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		t.Fatalf("ParseWithoutVerification: %v", err)
	}
	return u
}

// taskOf returns the task id of a token.
func taskOf(t testing.TB, token string) core.UUID {
	t.Helper()
	return parse(t, token).ClaimsWithoutVerification().TaskID
}
