// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestExpectEmpty: a client that says Expect and waits for nothing. Only one that asks to
// be told to continue keeps net/http from dropping its body.
func TestExpectEmpty(t *testing.T) {
	body := string(counting(400 << 10))
	for name, c := range map[string]struct {
		mode  httpect.Mode
		token func(*testing.T, *world) string
	}{
		"optional":       {httpect.Optional, func(*testing.T, *world) string { return "" }},
		"not bound":      {httpect.Enforce, func(t *testing.T, w *world) string { return w.head(t) }},
		"bound":          {httpect.Enforce, func(t *testing.T, w *world) string { return w.headOver(t, []byte(body)) }},
		"bound, observe": {httpect.Observe, func(t *testing.T, w *world) string { return w.headOver(t, []byte(body)) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := serve(t, http1, httpect.Middleware(w.service, httpect.WithMode(c.mode))(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				http.NewResponseController(rw).Flush()
				io.Copy(io.Discard, r.Body) //nolint:errcheck // the record tells
				core.TaskFromContext(r.Context())
			})))
			field := ""
			if token := c.token(t, w); token != "" {
				field = httpect.FieldName + ": " + token + "\r\n"
			}
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			var sending sync.WaitGroup
			defer sending.Wait()
			defer conn.Close()
			sending.Go(func() { // who does not read may not be read from
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect:\r\nTransfer-Encoding: chunked\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", field, len(body), body)
			})
			if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("ReadResponse = %v, %v", resp, err)
			}
			if sum := w.seen.next(t).Claims().InpHash; sum.Present && sum != hashOf([]byte(body)) {
				t.Error("inp_hash is that of a part of the body")
			}
			if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
				t.Errorf("a good body is reported as differing: %v", got)
			}
		})
	}
}
