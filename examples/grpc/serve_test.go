// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
)

// dial returns a connection that records nothing.
func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// with returns a context that carries a token.
func with(t *testing.T, token string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), core.CarrierTokens, token)
}

// TestServe runs the service as -serve does, and stops it as a signal would.
func TestServe(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "client")
	addr, stop := start(t, trustFile(t, d.JWKSets()))
	cc := dial(t, addr)
	tasks := examplepb.NewTaskServiceClient(cc)
	token := from.Token(audience).Sign(t)

	var trailer metadata.MD
	got, err := tasks.Record(with(t, token), &examplepb.RecordRequest{Action: "review"}, grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		t.Fatal(err)
	}
	want := []*examplepb.Token{{
		Jti: u.ClaimsWithoutVerification().TaskID.String(), Iss: from.Identity, Level: "L2", ExecAct: "test", Role: "head",
	}}
	if diff := cmp.Diff(want, got.GetTokens(), protocmp.Transform()); diff != "" {
		t.Errorf("what was verified (-want +got):\n%s", diff)
	}
	answers := trailer.Get(core.CarrierTokens)
	if len(answers) != 1 {
		t.Fatalf("%d tokens came back, want 1", len(answers))
	}
	claims := verified(t, cc, answers[0])
	if claims.TaskID.String() != got.GetTask() || claims.Action != "review" || !claims.InpHash.Present || !claims.OutHash.Present {
		t.Errorf("the answer says %+v, want it to be of task %s, review, with both hashes", claims, got.GetTask())
	}

	trailer = nil
	if _, err := tasks.Record(with(t, token), &examplepb.RecordRequest{}, grpc.Trailer(&trailer)); err == nil {
		t.Error("the same token was accepted again")
	} else if r, bad := replyOf(status.Convert(err)); r != (demo.Reply{Status: "PermissionDenied", Code: "ECT_REPLAYED"}) {
		t.Errorf("the same token again: %v, %v", r, bad)
	}
	if len(trailer.Get(core.CarrierTokens)) != 0 {
		t.Error("a refusal carries a token")
	}
	if _, err := tasks.Record(with(t, from.Token(audience).Sign(t)), &examplepb.RecordRequest{Action: "a\nb"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an action that is none: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

// verified verifies an answer with another JOSE library and the keys that the service gives,
// and returns its claims.
func verified(t *testing.T, cc *grpc.ClientConn, answer string) core.Claims {
	t.Helper()
	keys, err := examplepb.NewKeyServiceClient(cc).GetKeys(t.Context(), &examplepb.GetKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return verifiedWith(t, keys.GetJwks(), answer)
}

func verifiedWith(t *testing.T, jwks, answer string) core.Claims {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(answer, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify(set); err != nil {
		t.Errorf("the answer does not verify: %v", err)
	}
	u, err := core.ParseWithoutVerification(answer)
	if err != nil {
		t.Fatal(err)
	}
	return u.ClaimsWithoutVerification()
}

// TestServeStream records one task for a stream, and none of a stream without a token.
func TestServeStream(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "client")
	addr, stop := start(t, trustFile(t, d.JWKSets()))
	cc := dial(t, addr)
	tasks := examplepb.NewTaskServiceClient(cc)

	stream, err := tasks.RecordStream(with(t, from.Token(audience).Sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	task := ""
	for n := uint64(1); n <= 3; n++ {
		if err := stream.Send(&examplepb.RecordStreamRequest{Note: "hello"}); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got.GetNumber() != n || n > 1 && got.GetTask() != task {
			t.Errorf("message %d was answered %v", n, got)
		}
		task = got.GetTask()
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	answers := stream.Trailer().Get(core.CarrierTokens)
	if len(answers) != 1 {
		t.Fatalf("%d tokens came back, want 1", len(answers))
	}
	if claims := verified(t, cc, answers[0]); claims.TaskID.String() != task || claims.Action != "ect.example.v1.TaskService/RecordStream" {
		t.Errorf("the answer says %+v, want it to be of task %s", claims, task)
	}

	if stream, err = tasks.RecordStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if r, bad := replyOf(status.Convert(err)); r != (demo.Reply{Status: "PermissionDenied", Code: "ECT_REQUIRED"}) {
		t.Errorf("a stream without a token: %v, %v", r, bad)
	}
	if err := stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

// TestServeStops stops the service at once, which may be before it has begun.
func TestServeStops(t *testing.T) {
	d := ecttest.NewDomain()
	d.Agent(t, "client")
	trust := trustFile(t, d.JWKSets())
	for range 20 {
		_, stop := start(t, trust)
		if err := stop(); err != nil {
			t.Fatalf("serve ended with %v", err)
		}
	}
}

// TestHalt stops a server whose health somebody watches.
func TestHalt(t *testing.T) {
	tests := []struct {
		name  string
		grace time.Duration
		// leaves tells that who watches leaves when told.
		leaves bool
	}{
		{"who watches leaves", time.Minute, true},
		{"who watches stays", time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			server, healthy := newServer(d.Service(t, d.Agent(t, "service")), nil)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- server.Serve(l) }()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			watch, err := healthpb.NewHealthClient(dial(t, l.Addr().String())).Watch(ctx, &healthpb.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				t.Fatalf("health is %v, %v", got, err)
			}
			halted := make(chan struct{})
			go func() { halt(server, healthy, tt.grace); close(halted) }()
			if tt.leaves {
				if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
					t.Errorf("health while the service stops is %v, %v", got, err)
				}
				leave()
			}
			<-halted
			if err := <-ended; err != nil {
				t.Errorf("serve ended with %v", err)
			}
		})
	}
}
