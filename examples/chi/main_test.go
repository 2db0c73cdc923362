// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/httpect"
)

func TestDemonstration(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out, io.Discard); err != nil {
		t.Fatalf("run: %v\n%s", err, &out)
	}
	for _, want := range []string{
		"Decision: approved", "release-of-documents/v3: approved", "flowchart TD", "stand apart and meet in the call to approve",
		"replayed", "All as it should be.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

func TestOwnDocument(t *testing.T) {
	tests := []struct {
		name, document string
		want           string
	}{
		{"finance goes to a person", "Invoice 7: payment due", "pending_human_review"},
		{"empty", "", "approved"},
		{"long", strings.Repeat("a line of text\n", 20_000), "approved"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "document.txt")
			if err := os.WriteFile(file, []byte(tt.document), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := run(t.Context(), []string{"-in", file}, &out, io.Discard); err != nil {
				t.Fatalf("run: %v\n%s", err, &out)
			}
			if !strings.Contains(out.String(), "Decision: "+tt.want) {
				t.Errorf("the output lacks the decision %q:\n%s", tt.want, &out)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"https://a.example": {"keys": []}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
	}{
		{"an argument too many", []string{"x"}},
		{"no such flag", []string{"-x"}},
		{"no such correlation", []string{"-correlation", "all"}},
		{"no such document", []string{"-in", filepath.Join(dir, "none")}},
		{"serve nowhere", []string{"-serve", "", "-trust", bad, "-audience", "https://a.example"}},
		{"serve and in", []string{"-serve", "127.0.0.1:0", "-trust", bad, "-audience", "https://a.example", "-in", bad}},
		{"trust without serve", []string{"-trust", bad}},
		{"serve without trust", []string{"-serve", "127.0.0.1:0", "-audience", "https://a.example"}},
		{"serve without audience", []string{"-serve", "127.0.0.1:0", "-trust", bad}},
		{"no such level", []string{"-serve", "127.0.0.1:0", "-trust", bad, "-audience", "https://a.example", "-min-level", "L3"}},
		{"no key to trust", []string{"-serve", "127.0.0.1:0", "-trust", bad, "-audience", "https://a.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := run(t.Context(), tt.args, io.Discard, io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}

// TestServe runs the service as -serve does, and stops it as a signal would.
func TestServe(t *testing.T) {
	d := ecttest.NewDomain()
	from := d.Agent(t, "curl")
	url, stop := start(t, trustFile(t, d.JWKSets()), "https://service.example/echo")
	token := from.Token("https://service.example/echo").Sign(t)

	status, body, ect := post1(t, url, token)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	var echo struct {
		Tokens []demo.Seen `json:"tokens"`
	}
	if err := json.Unmarshal(body, &echo); err != nil {
		t.Fatal(err)
	}
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		t.Fatal(err)
	}
	want := []demo.Seen{{
		TaskID: u.ClaimsWithoutVerification().TaskID.String(), Issuer: from.Identity,
		Level: "L2", Action: "test", Pred: []string{}, Role: "head",
	}}
	if diff := cmp.Diff(want, echo.Tokens); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
	if ect == "" {
		t.Error("no token came back")
	}
	if status, body, ect := post1(t, url, token); status != http.StatusForbidden || ect != "" || !strings.Contains(string(body), `"replayed"`) {
		t.Errorf("the same token again: %d %s", status, body)
	}
	if err := stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

// TestInterop lets the jose library for Node mint tokens for the service and verify what
// comes back.
func TestInterop(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node.js, which is not installed")
	}
	dir := filepath.Join("testdata", "interop")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "jose")); err != nil {
		t.Skip("needs the jose library for Node: run npm ci in examples/chi/testdata/interop")
	}
	script := filepath.Join(dir, "interop.mjs")
	for _, alg := range []string{"ES256", "ES384", "EdDSA", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			const audience = "https://service.example/echo"
			var keys struct {
				Public json.RawMessage `json:"public"`
			}
			raw := runNode(t, node, script, "keygen", alg)
			if err := json.Unmarshal(raw, &keys); err != nil {
				t.Fatal(err)
			}
			keyFile := filepath.Join(t.TempDir(), "keys.json")
			if err := os.WriteFile(keyFile, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			trust := trustFile(t, map[string]any{
				"https://node.example/agent": map[string]any{"keys": []json.RawMessage{keys.Public}},
			})
			url, stop := start(t, trust, audience)
			var result struct {
				JTI  string `json:"jti"`
				Echo struct {
					Tokens []demo.Seen `json:"tokens"`
				} `json:"echo"`
			}
			if err := json.Unmarshal(runNode(t, node, script, "call", url, audience, keyFile), &result); err != nil {
				t.Fatal(err)
			}
			want := []demo.Seen{{TaskID: result.JTI, Issuer: "https://node.example/agent", Level: "L2", Action: "node_task", Pred: []string{}, Role: "head"}}
			if diff := cmp.Diff(want, result.Echo.Tokens); diff != "" {
				t.Errorf("echo (-want +got):\n%s", diff)
			}
			if err := stop(); err != nil {
				t.Errorf("serve ended with %v", err)
			}
		})
	}
}

func runNode(t *testing.T, node string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %v: %v\n%s", args, err, &stderr)
	}
	return out
}

func trustFile(t *testing.T, sets any) string {
	t.Helper()
	data, err := json.Marshal(sets)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// start runs -serve on a free port and returns where it listens.
func start(t *testing.T, trust, audience string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-serve", "127.0.0.1:0", "-trust", trust, "-audience", audience}, w, io.Discard)
		w.Close()
	}()
	line := make([]byte, 256)
	n, err := r.Read(line)
	if err != nil {
		cancel()
		t.Fatalf("serve: %v, %v", err, <-ended)
	}
	url = strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "listening on "))
	return url, func() error { cancel(); return <-ended }
}

// callersTrace is the trace of who calls.
const callersTrace = "0102030405060708090a0b0c0d0e0f10"

func post1(t *testing.T, url, token string) (status int, body []byte, ect string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, url+"/tasks/review", strings.NewReader("hello"))
	req.RequestURI = ""
	req.Header.Set(httpect.FieldName, token)
	req.Header.Set("Traceparent", "00-"+callersTrace+"-0102030405060708-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header.Get(httpect.FieldName)
}
