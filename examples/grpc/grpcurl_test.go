// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/grpc/examplepb"
)

// grpcurl runs the client of that name against a service.
type grpcurl struct{ path, addr string }

func findGrpcurl(t *testing.T) string {
	t.Helper()
	name := os.Getenv("GRPCURL")
	if name == "" {
		name = filepath.Join("..", "..", ".bin", "grpcurl")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs grpcurl: run make .bin/grpcurl, or say where it is in GRPCURL")
	}
	return path
}

// run runs it and returns what it wrote, and its exit code: 64 and the status where a call
// failed.
func (g grpcurl) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, bad bytes.Buffer
	cmd := exec.CommandContext(t.Context(), g.path, append([]string{"-plaintext", "-max-time", "20", "-format-error"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &bad
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), bad.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), bad.String(), 0
}

// record calls the service with a token; no token if there is none.
func (g grpcurl) record(t *testing.T, token string) (stdout, stderr string, code int) {
	t.Helper()
	var args []string
	if token != "" {
		args = append(args, "-H", "execution-context: "+token)
	}
	return g.run(t, append(args, "-d", `{"action":"review","note":"hello"}`, g.addr, "ect.example.v1.TaskService/Record")...)
}

// refusal is a status as grpcurl writes it.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type     string            `json:"@type"`
		Reason   string            `json:"reason"`
		Domain   string            `json:"domain"`
		Metadata map[string]string `json:"metadata"`
	} `json:"details"`
}

// newGrpcurl starts a service that trusts the agents of a domain.
func newGrpcurl(t *testing.T, d *ecttest.Domain, args ...string) grpcurl {
	t.Helper()
	path := findGrpcurl(t)
	addr, stop := start(t, trustFile(t, d.JWKSets()), args...)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	return grpcurl{path, addr}
}

// TestGrpcurlOpen asks without a token for what needs none.
func TestGrpcurlOpen(t *testing.T) {
	d := ecttest.NewDomain()
	d.Agent(t, "grpcurl")
	g := newGrpcurl(t, d)

	out, bad, code := g.run(t, g.addr, "list")
	want := []string{
		"ect.example.v1.KeyService", "ect.example.v1.TaskService", "grpc.health.v1.Health",
		"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
	}
	if diff := cmp.Diff(want, strings.Fields(out)); diff != "" || code != 0 {
		t.Errorf("list ended with %d: %s (-want +got):\n%s", code, bad, diff)
	}
	out, bad, code = g.run(t, g.addr, "describe", "ect.example.v1.TaskService")
	if code != 0 || !strings.Contains(out, "rpc RecordStream ( stream .ect.example.v1.RecordStreamRequest )") {
		t.Errorf("describe ended with %d: %s\n%s", code, bad, out)
	}
	out, bad, code = g.run(t, g.addr, "grpc.health.v1.Health/Check")
	if code != 0 || !strings.Contains(out, `"status": "SERVING"`) {
		t.Errorf("health ended with %d: %s\n%s", code, bad, out)
	}
	out, bad, code = g.run(t, g.addr, "ect.example.v1.KeyService/GetKeys")
	if code != 0 || !strings.Contains(out, `"jwks"`) {
		t.Errorf("keys ended with %d: %s\n%s", code, bad, out)
	}
}

// TestGrpcurl calls with tokens of every kind, and reads the statuses of profile 9.4.
func TestGrpcurl(t *testing.T) {
	const denied, invalid = 7, 3 // PermissionDenied and InvalidArgument
	d := ecttest.NewDomain()
	from := d.Agent(t, "grpcurl")
	stranger := ecttest.NewDomain().Agent(t, "grpcurl")
	token := func() *ecttest.Token { return from.Token(audience) }
	g := newGrpcurl(t, d)
	used := token().Sign(t)
	message, err := proto.Marshal(&examplepb.RecordRequest{Action: "review", Note: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	hashed := func(message []byte) string {
		return token().With("out_hash", hashOf(message).String()).Sign(t)
	}
	tests := []struct {
		name, token string
		code        int
		reason      string
	}{
		{"a good one", used, 0, ""},
		{"the same again", used, denied, "ECT_REPLAYED"},
		{"none", "", denied, "ECT_REQUIRED"},
		{"not a token", "a.b", invalid, "ECT_MALFORMED"},
		{"padded", token().Sign(t) + "=", invalid, "ECT_MALFORMED"},
		{"another key", stranger.Token(audience).Sign(t), denied, "ECT_REJECTED"},
		{"another audience", from.Token("https://other.example").Sign(t), denied, "ECT_REJECTED"},
		{"the message", hashed(message), 0, ""},
		{"another message", hashed(message[1:]), denied, "ECT_REJECTED"},
		{"not signed", token().Unsigned(t), denied, "ECT_REJECTED"},
		{"one good and one bad", token().Sign(t) + "," + stranger.Token(audience).Sign(t), denied, "ECT_REJECTED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, bad, code := g.record(t, tt.token)
			if tt.code == 0 {
				if code != 0 || !strings.Contains(out, from.Identity) {
					t.Errorf("grpcurl ended with %d: %s\n%s", code, bad, out)
				}
				return
			}
			var got refusal
			if err := json.Unmarshal([]byte(bad), &got); err != nil {
				t.Fatalf("grpcurl ended with %d: %s\n%s", code, bad, out)
			}
			if code != 64+tt.code || got.Code != tt.code || got.Message == "" {
				t.Errorf("grpcurl ended with %d: %s, want status %d", code, bad, tt.code)
			}
			if len(got.Details) != 1 || got.Details[0].Type != "type.googleapis.com/google.rpc.ErrorInfo" ||
				got.Details[0].Reason != tt.reason || got.Details[0].Domain != "github.com/go-ect/ect" || len(got.Details[0].Metadata) != 0 {
				t.Errorf("the details are %s, want ErrorInfo alone, of %s", bad, tt.reason)
			}
			if strings.Contains(out, "execution-context") {
				t.Errorf("a refusal carries a token: %s", out)
			}
		})
	}
}

// TestGrpcurlAnswer reads the answer among the trailers and verifies it.
func TestGrpcurlAnswer(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "grpcurl")
	g := newGrpcurl(t, d)
	var keys struct {
		JWKS string `json:"jwks"`
	}
	out, bad, code := g.run(t, g.addr, "ect.example.v1.KeyService/GetKeys")
	if err := json.Unmarshal([]byte(out), &keys); err != nil {
		t.Fatalf("keys ended with %d: %s\n%s", code, bad, out)
	}
	for _, tt := range []struct{ name, method, body, action string }{
		{"unary", "Record", `{"action":"review"}`, "review"},
		{"stream", "RecordStream", `{"note":"one"} {"note":"two"}`, "ect.example.v1.TaskService/RecordStream"},
		{"stream of nothing", "RecordStream", "", "ect.example.v1.TaskService/RecordStream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := from.Token(audience).Sign(t)
			out, bad, code := g.run(t, "-v", "-rpc-header", "execution-context: "+token, "-d", tt.body, g.addr, "ect.example.v1.TaskService/"+tt.method)
			if code != 0 {
				t.Fatalf("grpcurl ended with %d: %s\n%s", code, bad, out)
			}
			_, trailers, ok := strings.Cut(out, "Response trailers received:")
			_, answer, also := strings.Cut(trailers, "execution-context: ")
			if !ok || !also {
				t.Fatalf("no token came back:\n%s", out)
			}
			answer, _, _ = strings.Cut(answer, "\n")
			claims := verifiedWith(t, keys.JWKS, answer)
			u, err := core.ParseWithoutVerification(token)
			if err != nil {
				t.Fatal(err)
			}
			if claims.Action != tt.action || !slices.Equal(claims.Pred, []core.UUID{u.ClaimsWithoutVerification().TaskID}) {
				t.Errorf("the answer says %+v, want %s after the token that it answers", claims, tt.action)
			}
			if nothing := tt.body == ""; claims.InpHash.Present == nothing || claims.OutHash.Present == nothing {
				t.Errorf("the answer says %+v, want both hashes: %t", claims, !nothing)
			}
		})
	}
}

// TestGrpcurlUnsigned is a service that takes unsigned tokens.
func TestGrpcurlUnsigned(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "grpcurl")
	g := newGrpcurl(t, d, "-min-level", "L1")
	out, bad, code := g.record(t, from.Token(audience).Unsigned(t))
	if code != 0 || !strings.Contains(out, `"level": "L1"`) {
		t.Errorf("grpcurl ended with %d: %s\n%s", code, bad, out)
	}
}
