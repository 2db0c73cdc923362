// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
)

// marks are the response fields that the standards give to proxies and caches alone (RFC
// 9110, 7.6.3; RFC 9111, 5.1; RFC 9211; RFC 9209).
var marks = [...]string{"Via", "Age", "Cache-Status", "Proxy-Status"}

// marked tells whether a proxy left its mark on a response.
func marked(h http.Header) bool {
	for _, name := range marks {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// announces tells whether a response says that an answer comes as a trailer, also where
// net/http sees no place for one, as a proxy may have taken it away.
func announces(resp *http.Response) bool {
	if _, ok := resp.Trailer[FieldName]; ok {
		return true
	}
	for _, line := range resp.Header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), FieldName) {
				return true
			}
		}
	}
	return false
}

// hideFields takes tokens and receipts out of a response that nobody verifies, so that a
// gateway does not pass them on (profile 9.8).
func hideFields(resp *http.Response) {
	strip(resp.Header)
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil || resp.Body == http.NoBody {
		return // the caller may need what the body can do beside reading
	}
	strip(resp.Trailer)
	resp.Body = &lateTrailer{resp.Body, func() { strip(resp.Trailer) }}
}

// hideInformational takes them out of 1xx responses, which only what traces the call
// gets to see.
func hideInformational(ctx context.Context) (hidden context.Context, hides bool) {
	if trace := httptrace.ContextClientTrace(ctx); trace == nil || trace.Got1xxResponse == nil {
		return ctx, false
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			strip(http.Header(h)) // this is called before the hooks that are there
			return nil
		},
	}), true
}
