// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

// vector is a file of testdata/vectors: lines of "name: value", an empty line, a token.
type vector struct {
	fields map[string]string
	token  string
}

func readVector(t *testing.T, file string) vector {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v := vector{fields: map[string]string{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			break
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok || v.fields[name] != "" {
			t.Fatalf("%s: %q", file, line)
		}
		v.fields[name] = value
	}
	if lines.Scan() {
		v.token = lines.Text()
	}
	if lines.Scan() || lines.Err() != nil || v.token == "" {
		t.Fatalf("%s: not one token: %v", file, lines.Err())
	}
	return v
}

// TestVectors runs every vector through our check of signatures, through go-jose's, and
// through verification. Fields: expect is success or a code; signature says whether it
// verifies under key, a JWK, and jose is false where go-jose refuses it all the same; issuer
// binds the key; audience, now, min and digest are as named; stored is the text with s in
// the low half, if that is another.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.txt"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d vectors: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			v := readVector(t, file)
			v.checkSignature(t)
			v.verify(t)
		})
	}
}

// key returns the JWK, of a key pair the public half.
func (v vector) key(t *testing.T) jose.JSONWebKey {
	t.Helper()
	var key jose.JSONWebKey
	if err := json.Unmarshal([]byte(v.fields["key"]), &key); err != nil {
		t.Fatalf("key: %v", err)
	}
	if _, symmetric := key.Key.([]byte); symmetric {
		return key
	}
	return key.Public()
}

// checkSignature holds the primitive alone against the vector, whatever the token says.
func (v vector) checkSignature(t *testing.T) {
	t.Helper()
	if v.fields["key"] == "" {
		return
	}
	want, err := strconv.ParseBool(v.fields["signature"])
	if err != nil {
		t.Fatalf("signature: %v", err)
	}
	key := v.key(t)
	jws, err := jose.ParseSignedCompact(v.token, []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.EdDSA, jose.HS256, jose.RS256})
	if err == nil { // not so for what go-jose does not know
		if _, err := jws.Verify(key); (err == nil) != (want && v.fields["jose"] != "false") {
			t.Errorf("jose: Verify = %v, beside signature: %t", err, want)
		}
	}
	header, payload, signature := parts(t, v.token)
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Alg string }
	b, err := base64.RawURLEncoding.DecodeString(header)
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519} {
		if alg.String() != h.Alg {
			continue
		}
		if got := core.VerifySignature(alg, key.Key, header+"."+payload, sig); got != want {
			t.Errorf("VerifySignature = %t, want %t", got, want)
		}
		for i := range sig { // and no other signature near it
			sig[i] ^= 0x10
			if core.VerifySignature(alg, key.Key, header+"."+payload, sig) {
				t.Errorf("VerifySignature with byte %d changed = true", i)
			}
			sig[i] ^= 0x10
		}
		if want && core.VerifySignature(alg, key.Key, header+"."+payload+"A", sig) {
			t.Error("VerifySignature over more = true")
		}
	}
}

// verify holds the token as an ECT against the vector.
func (v vector) verify(t *testing.T) {
	t.Helper()
	sets := map[string]*core.KeySet{}
	if issuer := v.fields["issuer"]; issuer != "" {
		set, err := core.ParseKeySet(keySet(t, v.key(t)))
		if err != nil {
			t.Fatal(err)
		}
		sets[issuer] = set
	}
	binder, err := core.NewStaticBinder(sets)
	if err != nil {
		t.Fatal(err)
	}
	p := core.Policy{
		MinLevel: core.L2, Audience: "https://audience.example", Missing: core.RejectMissing, Replay: core.ReplayOncePerInstance,
		Body: core.BodyMatch, Algorithms: []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519},
	}
	if a := v.fields["audience"]; a != "" {
		p.Audience = a
	}
	if v.fields["min"] != "" {
		if p.MinLevel, err = core.ParseLevel(v.fields["min"]); err != nil {
			t.Fatal(err)
		}
	}
	now, err := strconv.ParseInt(v.fields["now"], 10, 64)
	if err != nil {
		t.Fatalf("now: %v", err)
	}
	verifier, err := core.NewVerifier(binder, p, core.WithClock(func() time.Time { return time.Unix(now, 0) }))
	if err != nil {
		t.Fatal(err)
	}
	r, err := verifier.Verify(t.Context(), presented(v.token))
	got := "success"
	if err != nil {
		got = core.CodeOf(err).String()
	}
	if got != v.fields["expect"] {
		t.Fatalf("Verify = %v, want %s", err, v.fields["expect"])
	}
	u, err := core.ParseWithoutVerification(v.token)
	if malformed := got == "malformed" || got == "too_large"; (err != nil) != malformed {
		t.Errorf("ParseWithoutVerification = %v beside %s", err, got)
	}
	if r == nil {
		return
	}
	h := r.Heads()[0]
	if h.Digest().String() != v.fields["digest"] || u.Digest() != h.Digest() {
		t.Errorf("the digest is %v, want %s", h.Digest(), v.fields["digest"])
	}
	stored := v.token
	if s := v.fields["stored"]; s != "" {
		stored = s
	}
	if h.Text() != stored {
		t.Errorf("Text() = %q, want %q", h.Text(), stored)
	}
	if _, err := verifier.Verify(t.Context(), presented(stored)); core.CodeOf(err) != core.CodeReplayed {
		t.Errorf("Verify of what is stored = %v, want code %v", err, core.CodeReplayed)
	}
}
