// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
)

func TestTrustDomain(t *testing.T) {
	for _, tt := range []struct{ name, identity, want string }{
		{"spiffe", "spiffe://example.org/billing", "spiffe://example.org"},
		{"domain alone", "spiffe://example.org", "spiffe://example.org"},
		{"slash alone", "spiffe://example.org/", "spiffe://example.org"},
		{"scheme counts", "wimse://example.org/billing", "wimse://example.org"},
		{"case counts", "SPIFFE://Example.org/billing", "SPIFFE://Example.org"},
		{"port", "https://example.org:8443/a/b", "https://example.org:8443"},
		{"user", "https://a@example.org/b", "https://a@example.org"},
		{"IPv6", "https://[::1]:8443/a", "https://[::1]:8443"},
		{"query", "https://example.org?a=/b", "https://example.org"},
		{"fragment", "https://example.org#/a", "https://example.org"},
		{"another authority in the path", "https://example.org/https://example.com", "https://example.org"},
		{"another authority in the query", "https://example.org?a=spiffe://example.com/b", "https://example.org"},
		{"three slashes", "spiffe:///billing", "spiffe:///billing"},
		{"four slashes", "spiffe:////billing", "spiffe:////billing"},
		{"authority empty before a query", "https://?a", "https://?a"},
		{"urn", "urn:uuid:0d8b7fae-6c1c-4f29-8a70-8b4a1d4f7a10", "urn:uuid:0d8b7fae-6c1c-4f29-8a70-8b4a1d4f7a10"},
		{"urn with slashes", "urn:example:a/b?c#d", "urn:example:a/b?c#d"},
		{"authority that is none", "urn:example:a://example.org/b", "urn:example:a://example.org/b"},
		{"one slash", "file:/a/b", "file:/a/b"},
		{"no URI", "example.org/a", "example.org/a"},
		{"no scheme", "//example.org/a", "//example.org/a"},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := core.TrustDomain(tt.identity); got != tt.want {
				t.Errorf("TrustDomain(%q) = %q, want %q", tt.identity, got, tt.want)
			}
		})
	}
}

// TestTrustDomainOfItself holds that a domain is in itself, and that no identity is in the
// domain of one that merely begins like it.
func TestTrustDomainOfItself(t *testing.T) {
	for _, identity := range []string{
		"spiffe://example.org/a", "https://[::1]:8443/a?b#c", "spiffe:///a", "urn:example:a://b/c", "a:", "://a",
	} {
		domain := core.TrustDomain(identity)
		if got := core.TrustDomain(domain); got != domain {
			t.Errorf("TrustDomain(%q) = %q, want itself", domain, got)
		}
		if !strings.HasPrefix(identity, domain) {
			t.Errorf("TrustDomain(%q) = %q, which it does not begin with", identity, domain)
		}
		for _, more := range []string{"x", ".example.com", ":1", "@example.com"} {
			if got := core.TrustDomain(domain + more + "/a"); got == domain {
				t.Errorf("TrustDomain(%q) = %q, want another domain", domain+more+"/a", got)
			}
		}
	}
}
