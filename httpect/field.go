// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"net/http"
	"net/url"
	"strings"
)

// lineOverhead is what a field line costs beside its name and value: colon, space, CR, LF.
const lineOverhead = 4

// headerSize returns the bytes of a header section (profile 9.2).
func headerSize(h http.Header) (n int) {
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + lineOverhead
		}
	}
	return n
}

// fitting returns how many of the tokens fit a section that has size bytes already.
func fitting(tokens []string, size, limit int) int {
	for n, t := range tokens {
		if size += len(FieldName) + len(t) + lineOverhead; size > limit {
			return n
		}
	}
	return len(tokens)
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
