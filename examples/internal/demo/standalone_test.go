// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/internal/demo"
)

// TestTrustFile holds entries that cannot be used against those that can.
func TestTrustFile(t *testing.T) {
	d := ecttest.NewDomain()
	good := d.Agent(t, "good")
	sets := map[string]any{"no uri": map[string]any{"keys": []any{}}, "https://text.example": "x", "https://empty.example": map[string]any{}}
	for iss, set := range d.JWKSets() {
		sets[iss] = map[string]any{"keys": []any{
			set.Keys[0],
			map[string]string{"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AAAA"},
			map[string]string{"kty": "oct", "kid": "shared", "k": "AAAA"},
			map[string]string{"kty": "EC", "kid": "off", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
			"not a key",
		}}
	}
	data, err := json.Marshal(sets)
	if err != nil {
		t.Fatal(err)
	}
	got, err := demo.ReadTrust(data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[good.Identity] == nil || got[good.Identity].Len() != 1 || len(got[good.Identity].Skipped()) != 4 {
		t.Errorf("demo.ReadTrust = %v, want the one good key and four skipped", got)
	}
	if _, err := demo.ReadTrust([]byte(`[]`), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an array was taken for a trust file")
	}
}
