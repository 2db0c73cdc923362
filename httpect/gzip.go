// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"compress/gzip"
	"net/http"
	"strings"
)

// acceptGzip asks for gzip where http.Transport would, so that what is hashed is what is
// on the wire (profile 9.6).
func (t *Transport) acceptGzip(out *http.Request) bool {
	if !t.gzip || out.Method == http.MethodHead || out.Header.Get("Accept-Encoding") != "" || out.Header.Get("Range") != "" {
		return false
	}
	out.Header.Set("Accept-Encoding", "gzip")
	return true
}

// uncompress takes the coding off a response that came with one, as http.Transport
// would, and tells whether it did.
func uncompress(resp *http.Response) bool {
	if resp.ContentLength == 0 || !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return false
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Uncompressed = true
	return true
}

// gunzip decodes a body that is hashed as it came.
type gunzip struct {
	coded *body
	zr    *gzip.Reader
	// broken judges what came where it cannot be decoded.
	broken func() error
}

// Read implements io.Reader.
func (g *gunzip) Read(p []byte) (n int, err error) {
	if g.zr == nil {
		if g.zr, err = gzip.NewReader(g.coded); err != nil {
			g.zr = nil
			return 0, g.why(err)
		}
	}
	if n, err = g.zr.Read(p); err != nil {
		err = g.why(err)
	}
	return n, err
}

// why is the error of what ended with err. That other bytes came than were sent counts
// more than that they make no sense.
func (g *gunzip) why(err error) error {
	// The decoder may stop before the end that the record is held against.
	g.coded.drain(DefaultDrain, true)
	if isEOF(err) || g.coded.failure() != nil {
		return err
	}
	if bad := g.broken(); bad != nil {
		return bad
	}
	return err
}

// Close implements io.Closer.
func (g *gunzip) Close() error { return g.coded.Close() }
