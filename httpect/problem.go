// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-ect/ect/core"
)

// problemMedia is the media type of a problem document (RFC 9457).
const problemMedia = "application/problem+json"

// problemTypes is where the type of a problem document points (profile 9.4).
const problemTypes = "https://github.com/go-ect/ect/blob/main/docs/errors.md#"

// statuses maps each class to its HTTP status. It is never 401: a token authenticates
// nobody (profile 9.4).
var statuses = map[core.Class]int{
	core.ClassMalformed:   http.StatusBadRequest,
	core.ClassRejected:    http.StatusForbidden,
	core.ClassReplayed:    http.StatusForbidden,
	core.ClassRequired:    http.StatusForbidden,
	core.ClassTooLarge:    http.StatusRequestHeaderFieldsTooLarge,
	core.ClassUnsupported: http.StatusUnsupportedMediaType,
	core.ClassUnavailable: http.StatusServiceUnavailable,
	core.ClassUnrecorded:  http.StatusInternalServerError,
}

// Status returns the HTTP status of a code (profile 9.4): that of its class, and 413 where
// it was the body that was too large. It is 500 for a code that is unknown.
func Status(c core.Code) int {
	if c == core.CodeBodyTooLarge {
		return http.StatusRequestEntityTooLarge
	}
	if s, ok := statuses[c.Class()]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// problem is a problem document (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Check  string `json:"check,omitempty"`
}

// writeProblem answers with a problem document: a fixed sentence for each class, and
// nothing of the token.
func (c *config) writeProblem(w http.ResponseWriter, r *http.Request, err *core.Error) {
	addVary(w.Header())
	if c.onError != nil {
		c.onError(w, r, err)
		return
	}
	class := err.Code.Class()
	p := problem{
		Type: problemTypes + class.String(), Title: class.Sentence(),
		Status: Status(err.Code), Code: class.String(),
	}
	if c.detail {
		p.Check = err.Code.String()
	}
	body, bad := json.Marshal(p)
	if bad != nil { // five texts always marshal; if not, the status says enough
		w.WriteHeader(p.Status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", problemMedia)
	h.Set("Cache-Control", "no-store")
	if class == core.ClassUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n')) //nolint:errcheck // the peer is gone; the refusal was reported already
}

// addVary adds our field to Vary, unless it is there (profile 9.8).
func addVary(h http.Header) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), FieldName) {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"], FieldName)
}
