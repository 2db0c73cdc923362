// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	"github.com/go-ect/ect/core"
)

// maxRefusal is how long a problem document may be that is read to learn its code.
const maxRefusal = 4 << 10

// again returns the request to dispatch once more after a response that refused it as
// replayed: something below sent it twice, as net/http does after a connection broke
// (profile 7.5). It returns nil where repeating is not known to be safe, and leaves the
// response as it came.
func again(req *http.Request, resp *http.Response) *http.Request {
	if !idempotent(req.Method) || !saysReplayed(resp) || req.Context().Err() != nil {
		return nil
	}
	second := req.WithContext(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return second
	}
	if req.GetBody == nil {
		return nil
	}
	var err error
	if second.Body, err = req.GetBody(); err != nil {
		return nil // the caller learns why the call was refused, which counts more
	}
	return second
}

// idempotent tells whether a method is one of those of RFC 9110, 9.2.2. HEAD is not among
// them, as its refusal has no body to read the code from.
func idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// saysReplayed tells whether a response is a problem document with the code "replayed".
// One with an answer is a handler's own, since what is refused gets none, and one whose
// length is not known is not waited for.
func saysReplayed(resp *http.Response) bool {
	n := resp.ContentLength
	if resp.StatusCode != http.StatusForbidden || n <= 0 || n > maxRefusal ||
		resp.Header.Get("Content-Encoding") != "" || carries(resp.Header) || announces(resp) {
		return false
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != problemMedia {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, n))
	resp.Body = &reread{io.MultiReader(bytes.NewReader(text), resp.Body), resp.Body}
	var p struct {
		Code string `json:"code"`
	}
	return err == nil && json.Unmarshal(text, &p) == nil && p.Code == core.ClassReplayed.String()
}

// reread is a body of which something was read before.
type reread struct {
	io.Reader
	io.Closer
}
