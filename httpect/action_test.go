// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestAction: exec_act is the method and the pattern of the route, and never what a
// stranger wrote into the path or the method.
func TestAction(t *testing.T) {
	type use = func(http.Handler) http.Handler
	root := func(build func(r chi.Router)) func(use) http.Handler {
		return func(mw use) http.Handler {
			r := chi.NewRouter()
			r.Use(mw)
			build(r)
			return r
		}
	}
	nested := root(func(r chi.Router) {
		r.Get("/", empty)
		r.Route("/v1", func(r chi.Router) {
			r.Get("/", empty)
			r.Route("/users/{user}", func(r chi.Router) {
				r.Get("/documents/{id:[0-9]+}", empty)
				r.Get("/files/*", empty)
			})
		})
		sub := chi.NewRouter()
		sub.Post("/things/{id}", empty)
		r.Mount("/sub", sub)
		r.Handle("/any/{id}", http.HandlerFunc(empty))
		r.Group(func(r chi.Router) { r.Get("/grouped/{id}", empty) })
		r.With(func(h http.Handler) http.Handler { return h }).Get("/with/{id}", empty)
	})
	group := func(mw use) http.Handler {
		r := chi.NewRouter()
		r.Route("/v2/{tenant}", func(r chi.Router) {
			r.Group(func(r chi.Router) {
				r.Use(mw)
				r.Get("/items/{id}", empty)
			})
		})
		return r
	}
	inline := func(mw use) http.Handler {
		r := chi.NewRouter()
		r.With(mw).Get("/inline/{id}", empty)
		return r
	}
	mounted := func(mw use) http.Handler {
		sub := chi.NewRouter()
		sub.Use(mw)
		sub.Get("/items/{id}", empty)
		r := chi.NewRouter()
		r.Mount("/tenants/{tenant}", sub)
		return r
	}
	mux := func(mw use) http.Handler {
		m := http.NewServeMux()
		m.HandleFunc("GET /plain/{id}", empty)
		m.HandleFunc("/every/{id}", empty)
		m.HandleFunc("PURGE /cache/{key}", empty)
		m.HandleFunc("GET /rest/{path...}", empty)
		return mw(m)
	}
	muxInside := func(mw use) http.Handler {
		m := http.NewServeMux()
		m.Handle("POST /inside/{id}", mw(http.HandlerFunc(empty)))
		return m
	}
	wrapped := func(mw use) http.Handler {
		r := chi.NewRouter()
		r.Get("/items/{id}", empty)
		return mw(r)
	}
	for _, c := range []struct {
		name         string
		handler      func(use) http.Handler
		method, path string
		want         string
		options      []httpect.Option
	}{
		{name: "root", handler: nested, path: "/", want: "GET /"},
		{name: "route", handler: nested, path: "/v1/", want: "GET /v1"},
		{name: "nested", handler: nested, path: "/v1/users/alice/documents/7", want: "GET /v1/users/{user}/documents/{id:[0-9]+}"},
		{name: "wildcard", handler: nested, path: "/v1/users/alice/files/a/b", want: "GET /v1/users/{user}/files/*"},
		{name: "mount", handler: nested, method: "POST", path: "/sub/things/7", want: "POST /sub/things/{id}"},
		{name: "any method", handler: nested, method: "DELETE", path: "/any/7", want: "DELETE /any/{id}"},
		{name: "group", handler: nested, path: "/grouped/7", want: "GET /grouped/{id}"},
		{name: "with", handler: nested, path: "/with/7", want: "GET /with/{id}"},
		{name: "no route", handler: nested, path: "/secret-of-the-caller", want: "GET"},
		{name: "no route in a mount", handler: nested, path: "/sub/secret-of-the-caller", want: "GET /sub/*"},
		{name: "no such method", handler: nested, method: "PUT", path: "/grouped/7", want: "PUT"},
		{name: "odd method", handler: nested, method: "SECRET", path: "/any/7", want: "_OTHER"},
		{name: "odd method, matched by nothing", handler: wrapped, method: "secret", path: "/items/7", want: "_OTHER"},
		{name: "mounted in a group", handler: group, path: "/v2/acme/items/7", want: "GET /v2/{tenant}/items/{id}"},
		{name: "mounted inline", handler: inline, path: "/inline/7", want: "GET /inline/{id}"},
		{name: "mounted in a sub router", handler: mounted, path: "/tenants/acme/items/7", want: "GET /tenants/{tenant}/items/{id}"},
		{name: "around a router", handler: wrapped, path: "/items/7", want: "GET"},
		{name: "ServeMux", handler: mux, path: "/plain/7", want: "GET /plain/{id}"},
		{name: "ServeMux, every method", handler: mux, method: "PATCH", path: "/every/7", want: "PATCH /every/{id}"},
		{name: "ServeMux, HEAD of a GET", handler: mux, method: "HEAD", path: "/plain/7", want: "HEAD /plain/{id}"},
		{name: "ServeMux, odd method of every", handler: mux, method: "SECRET", path: "/every/7", want: "_OTHER /every/{id}"},
		{name: "ServeMux, odd method of a pattern", handler: mux, method: "PURGE", path: "/cache/7", want: "_OTHER /cache/{key}"},
		{name: "ServeMux, rest", handler: mux, path: "/rest/a/b", want: "GET /rest/{path...}"},
		{name: "ServeMux, no route", handler: mux, path: "/secret-of-the-caller", want: "GET"},
		{name: "ServeMux, mounted inside", handler: muxInside, method: "POST", path: "/inside/7", want: "POST /inside/{id}"},
		{name: "WithAction", handler: nested, path: "/grouped/7", want: "read /grouped/7 of 7", options: []httpect.Option{
			httpect.WithAction(func(r *http.Request) string { return "read " + r.URL.Path + " of " + chi.URLParam(r, "id") }),
		}},
		{name: "WithAction, nothing", handler: nested, path: "/grouped/7", want: "GET", options: []httpect.Option{
			httpect.WithAction(func(*http.Request) string { return "" }),
		}},
		{name: "WithAction, no action", handler: nested, path: "/grouped/7", want: "GET", options: []httpect.Option{
			httpect.WithAction(func(*http.Request) string { return strings.Repeat("x", core.MaxActionBytes+1) }),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := serve(t, http1, c.handler(httpect.Middleware(w.service, c.options...)))
			method := c.method
			if method == "" {
				method = "GET"
			}
			r := s.send(t, method, c.path, nil, w.head(t))
			if got := w.answer(t, r).Claims().Action; got != c.want {
				t.Errorf("exec_act = %q (status %d), want %q", got, r.StatusCode, c.want)
			}
		})
	}
}

// TestSetAction: what the handler says wins.
func TestSetAction(t *testing.T) {
	w := newWorld(t)
	r := chi.NewRouter()
	r.Use(httpect.Middleware(w.service, httpect.WithAction(func(*http.Request) string { return "outer" })))
	r.Get("/items/{id}", func(_ http.ResponseWriter, r *http.Request) {
		task, _ := core.TaskFromContext(r.Context())
		if err := task.SetAction("approve the order"); err != nil {
			t.Error(err)
		}
	})
	got := serve(t, http1, r).send(t, "GET", "/items/7", nil, w.head(t))
	if a := w.answer(t, got).Claims().Action; a != "approve the order" {
		t.Errorf("exec_act = %q", a)
	}
}
