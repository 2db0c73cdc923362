// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/httpect"
)

// grace is how long requests may take that run when a service is stopped.
const grace = 5 * time.Second

// serve runs one service until ctx is done.
func serve(ctx context.Context, addr string, c demo.Standalone, to *demo.Telemetry, log *slog.Logger, stdout io.Writer) error {
	service, err := c.Service(ctx, to, log)
	if err != nil {
		return err
	}
	handler := newServeHandler(service, log)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		stopped <- server.Shutdown(late)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// newServeHandler puts the routes together.
func newServeHandler(service *demo.Alone, log *slog.Logger) http.Handler {
	r := chi.NewRouter()
	r.Get("/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		if err := json.NewEncoder(w).Encode(service.Key.JWKS()); err != nil {
			log.Warn("keys not sent", "cause", err)
		}
	})
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware("serve", traced(service.Tracers, service.Bridge)...), httpect.Middleware(service.Service))
		r.Post("/tasks/{action}", echo)
	})
	return r
}

// echo answers with what was verified. The task's action is that of the path.
func echo(w http.ResponseWriter, r *http.Request) {
	task, ok := core.TaskFromContext(r.Context())
	if !ok {
		http.Error(w, "no task", http.StatusInternalServerError)
		return
	}
	if err := task.SetAction(chi.URLParam(r, "action")); err != nil {
		http.Error(w, "an action is 1 to 256 bytes of text", http.StatusBadRequest)
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	received, ok := task.Received()
	if !ok {
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	reply(w, map[string]any{"task": task.ID().String(), "tokens": demo.SeenOf(received)})
}
