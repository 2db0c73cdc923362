// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// isAction tells whether s may be an `exec_act`: 1 to 256 bytes without controls or
// the marks that change the order in which text is shown (profile 3).
func isAction(s string) bool {
	if s == "" || len(s) > MaxActionBytes || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		switch {
		case r < 0x20, r >= 0x80 && r <= 0x9f, // C0, C1
			r == 0x2028, r == 0x2029, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return false
		}
	}
	return true
}

// isURI tells whether s is an absolute URI by the characters of RFC 3986: a scheme, a
// colon and something after it. What a scheme asks of the rest is for the binder.
func isURI(s string) bool {
	if len(s) > MaxURIBytes {
		return false
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" || rest == "" || !isAlpha(scheme[0]) {
		return false
	}
	for i := 1; i < len(scheme); i++ {
		if c := scheme[i]; !isAlpha(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	for i := range len(rest) {
		if !uriBytes[rest[i]] {
			return false
		}
	}
	return true
}

// uriBytes marks the bytes that RFC 3986 lets into a URI, and the brackets, for hosts.
var uriBytes = func() (t [256]bool) {
	for c := ' ' + 1; c < 0x7f; c++ {
		t[c] = !strings.ContainsRune("\"<>\\^`{|}", c)
	}
	return t
}()

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// TrustDomain returns scheme and authority of an identity, such as "spiffe://example.org",
// or all of an identity that has no authority, which is a domain of its own: trust anchors
// and caps are kept per (scheme, trust domain), and so are links of telemetry (profile 6).
// Domains are compared byte for byte, as identities are. It does not tell whether the
// identity is a URI.
func TrustDomain(identity string) string {
	scheme, rest, ok := strings.Cut(identity, ":")
	if !ok || !strings.HasPrefix(rest, "//") {
		return identity
	}
	authority := rest[len("//"):]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	if authority == "" {
		return identity
	}
	return identity[:len(scheme)+len("://")+len(authority)]
}

var errNotUTF8 = errors.New("ect: text is not valid UTF-8")

// appendJSONString appends s as a JSON string.
func appendJSONString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, errNotUTF8
	}
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"'), nil
}
