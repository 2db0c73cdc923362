// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// What a call may allocate beyond gRPC and the bare crypto, with all that the interceptors
// do: parse, verify, graph, claim, hash, issue, answer.
const (
	maxAllocations = 30
	// maxCallAllocations is for both sides of a call.
	maxCallAllocations = 90
	// maxMessageAllocations is for one message of a stream and its echo.
	maxMessageAllocations = 4
)

// TestAllocations holds unary calls through the interceptors against calls with the bare
// crypto alone, which have the same metadata.
func TestAllocations(t *testing.T) {
	f := newFloor(t)
	m := &testpb.Message{Text: "invoice 7"}
	for name, c := range map[string]struct {
		floor []grpc.ServerOption
		ours  []grpc.ServerOption
	}{
		"verified":              {[]grpc.ServerOption{f.server(false)}, grpcect.ServerOptions(f.verifyOnly(t))},
		"verified and recorded": {[]grpc.ServerOption{f.server(true)}, grpcect.ServerOptions(f.service)},
	} {
		measure := func(options []grpc.ServerOption) float64 {
			const runs = 200
			var tokens []string
			for range runs + 1 {
				tokens = append(tokens, f.token(t, m))
			}
			c := connect(t, talk(), options)
			return testing.AllocsPerRun(runs, func() {
				ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{core.CarrierTokens: tokens[len(tokens)-1:]})
				tokens = tokens[:len(tokens)-1]
				if _, err := c.Unary(ctx, m); err != nil {
					t.Error(err)
				}
			})
		}
		floor, got := measure(c.floor), measure(c.ours)
		if got-floor > maxAllocations {
			t.Errorf("%s: %v allocations, %v beyond the floor's, want at most %d", name, got, got-floor, maxAllocations)
		}
		t.Logf("%s: %v allocations, the floor has %v", name, got, floor)
	}
}

// TestCallAllocations is [TestAllocations] for both sides of a call: dispatch, record and
// answer against two bare signatures and two bare verifications.
func TestCallAllocations(t *testing.T) {
	f := newFloor(t)
	m := &testpb.Message{Text: "invoice 7"}
	measure := func(ctx context.Context, c testpb.TestServiceClient) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := c.Unary(ctx, m); err != nil {
				t.Error(err)
			}
		})
	}
	floor := measure(t.Context(), connect(t, talk(), []grpc.ServerOption{f.server(true)}, f.client(t)))
	got := measure(f.task(t), connect(t, talk(), grpcect.ServerOptions(f.service), f.dialOptions()...))
	if got-floor > maxCallAllocations {
		t.Errorf("%v allocations, %v beyond the floor's, want at most %d", got, got-floor, maxCallAllocations)
	}
	t.Logf("%v allocations, the floor has %v", got, floor)
}

// TestTraceAllocations: a guard costs nothing where there is no metadata, and none but
// grpc-go's copy of it where there is nothing to take out.
func TestTraceAllocations(t *testing.T) {
	guard, info := grpcect.GuardTrace(nil), &stats.RPCTagInfo{FullMethodName: testpb.TestService_Unary_FullMethodName}
	with := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "1", "authorization", "2")
	floor := testing.AllocsPerRun(100, func() { metadata.FromOutgoingContext(with) })
	for ctx, want := range map[context.Context]float64{t.Context(): 0, with: floor} {
		if n := testing.AllocsPerRun(100, func() { guard.TagRPC(ctx, info) }); n > want {
			t.Errorf("%v allocations, want at most %v", n, want)
		}
	}
}

// TestMessageAllocations holds the messages of a stream that both sides record against
// those of one that nobody looks at.
func TestMessageAllocations(t *testing.T) {
	f := newFloor(t)
	m := &testpb.Message{Text: "invoice 7"}
	measure := func(ctx context.Context, c testpb.TestServiceClient) float64 {
		st, err := c.BidiStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(200, func() {
			if err := st.Send(m); err != nil {
				t.Error(err)
			}
			if _, err := st.Recv(); err != nil {
				t.Error(err)
			}
		})
		if err := st.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := drain(st.Recv); err != nil {
			t.Fatal(err)
		}
		return n
	}
	floor := measure(t.Context(), connect(t, talk(), nil))
	got := measure(f.task(t), connect(t, talk(), grpcect.ServerOptions(f.service), f.dialOptions()...))
	if got-floor > maxMessageAllocations {
		t.Errorf("%v allocations, %v beyond the floor's, want at most %d", got, got-floor, maxMessageAllocations)
	}
	t.Logf("%v allocations, the floor has %v", got, floor)
}
