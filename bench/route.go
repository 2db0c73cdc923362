// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/httpect"
)

// route is a route of chi's behind a middleware.
func route(use ...func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(use...)
	response := []byte("invoice 7\n")
	r.Post("/invoices/{id}", func(w http.ResponseWriter, r *http.Request) {
		var buf [64]byte
		for {
			if _, err := r.Body.Read(buf[:]); err != nil {
				break
			}
		}
		w.Write(response) //nolint:errcheck // the status tells
	})
	return r
}

// writer is a response writer that keeps the status alone.
type writer struct {
	h      http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.h }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }

// source gives the tokens of requests, each as a slice of one.
type source interface{ next() []string }

// requests sends requests to a handler, without a socket, with tokens if there are any.
func requests(h http.Handler, tokens source) *runner {
	w := &writer{h: http.Header{}}
	template, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://service.example/invoices/7", http.NoBody)
	r := &runner{run: func() error {
		if err != nil {
			return err
		}
		req := *template
		req.RemoteAddr = "192.0.2.1:50000"
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.Header = make(http.Header, 4)
		req.Header["Content-Type"] = []string{"application/json"}
		if tokens != nil {
			req.Header[httpect.FieldName] = tokens.next()
		}
		clear(w.h)
		w.status = http.StatusOK
		h.ServeHTTP(w, &req)
		if w.status != http.StatusOK {
			return fmt.Errorf("status %d", w.status)
		}
		return nil
	}}
	if s, ok := tokens.(interface{ prepare(n int) error }); ok {
		r.prepare = s.prepare
	}
	return r
}
