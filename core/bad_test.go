// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// TestBadTokens holds every kind of bad token against the code it must be refused with,
// and then presents a good token of the same issuer, which must be none the worse.
func TestBadTokens(t *testing.T) {
	d := ecttest.NewDomain()
	from, to := d.Agent(t, "from"), d.Agent(t, "to")
	for _, bad := range ecttest.BadTokens() {
		t.Run(bad.Name, func(t *testing.T) {
			v := verifier(t, d, to.Policy())
			text := bad.Mint(t, d, from, to.Identity)
			_, err := v.Verify(t.Context(), presented(text))
			if got := core.CodeOf(err); got != bad.Code {
				t.Fatalf("Verify(%q) = %v, want code %v", text, err, bad.Code)
			}
			if e, ok := errors.AsType[*core.Error](err); !ok || strings.Contains(e.Error(), from.Identity) {
				t.Errorf("the error %q shows something of the token", err)
			}
			if _, err := v.Verify(t.Context(), presented(from.Token(to.Identity).Sign(t))); err != nil {
				t.Errorf("a good token after the bad one: %v", err)
			}
		})
	}
}

func verifier(tb testing.TB, d *ecttest.Domain, p core.Policy, opts ...core.VerifierOption) *core.Verifier {
	tb.Helper()
	v, err := core.NewVerifier(d, p, opts...)
	if err != nil {
		tb.Fatalf("NewVerifier: %v", err)
	}
	return v
}

func presented(tokens ...string) core.Presented { return core.Presented{Values: tokens} }
