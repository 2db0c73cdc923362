// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
)

// TestRefusedCall: where an answer is required and the call was refused, what says why is
// read first; then comes the error, which closing gives as well.
func TestRefusedCall(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		const why = `{"code":"rejected"}`
		p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, why) //nolint:errcheck // the client looks
		}), bare, over(proto))
		ctx, task := p.start(t)
		resp, err := p.client.Do(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
		if err != nil {
			t.Fatalf("Do: %v; the call happened", err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != why || core.CodeOf(err) != core.CodeAnswer || !strings.Contains(err.Error(), "403") {
			t.Errorf("reading = %q, %v; want the reason, then code answer with the status", body, err)
		}
		if err := resp.Body.Close(); core.CodeOf(err) != core.CodeAnswer {
			t.Errorf("Close = %v, want code answer", err)
		}
		dispatch := p.told.next(t).Claims()
		onlyPred(t, end(ctx, t, task), dispatch.TaskID, "the dispatch")
	})
}
