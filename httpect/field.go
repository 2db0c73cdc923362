// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"net/http"
	"net/url"
	"strings"
)

// isOurs tells whether a field carries tokens or receipts, whatever its case, and also as
// a trailer that net/http has not been told of before.
func isOurs(name string) bool {
	if n := len(name); n != len(FieldName) && n != len(receiptFieldName) && n < len(http.TrailerPrefix+FieldName) {
		return false // as most fields are, at one look
	}
	name = strings.TrimPrefix(name, http.TrailerPrefix)
	return strings.EqualFold(name, FieldName) || strings.EqualFold(name, receiptFieldName)
}

// strip removes tokens and receipts from a header or trailer section, and what announces
// them as trailers, so that nothing of others is passed on (profile 9.8).
func strip(h http.Header) {
	for name := range h {
		if isOurs(name) {
			delete(h, name)
		}
	}
	announced, ok := h["Trailer"]
	if !ok {
		return
	}
	var kept []string
	for _, line := range announced {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !isOurs(name) {
				kept = append(kept, name)
			}
		}
	}
	if delete(h, "Trailer"); len(kept) > 0 {
		h["Trailer"] = kept
	}
}

// carries tells whether strip would find anything.
func carries(h http.Header) bool {
	for name := range h {
		if isOurs(name) {
			return true
		}
	}
	return false
}

// Origin returns the origin of a URL in the form that [core.Audience] has as endpoint:
// scheme and host in lower case, the scheme's default port left out.
func Origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}
