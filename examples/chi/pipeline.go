// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
)

// pipeline is the four services, and the client that hands documents in.
type pipeline struct {
	submitter, intake, classify, redact, approve *agent

	mu     sync.Mutex
	issued []*core.Issued
}

func (p *pipeline) agents() []*agent {
	return []*agent{p.submitter, p.intake, p.classify, p.redact, p.approve}
}

// parties is who an auditor knows.
func (p *pipeline) parties() []demo.Party {
	var all []demo.Party
	for _, a := range p.agents() {
		all = append(all, demo.Party{Name: a.name, Identity: a.identity, Key: a.key.Public()})
	}
	return all
}

// newPipeline starts the services.
func newPipeline(ctx context.Context, to *demo.Telemetry) (*pipeline, error) {
	p := &pipeline{}
	for _, a := range []struct {
		to             **agent
		name, identity string
	}{
		{&p.submitter, "submitter", "spiffe://clinic.example/ward-7"},
		{&p.intake, "intake", "spiffe://intake.example/agents/intake"},
		{&p.classify, "classify", "spiffe://labels.example/agents/classify"},
		{&p.redact, "redact", "spiffe://privacy.example/agents/redact"},
		{&p.approve, "approve", "spiffe://review.example/agents/approve"},
	} {
		made, err := newAgent(ctx, a.name, a.identity, to)
		if err != nil {
			return nil, errors.Join(err, p.close(ctx))
		}
		*a.to = made
	}
	works := map[*agent][]*agent{
		p.submitter: {p.intake},
		p.intake:    {p.submitter, p.classify, p.redact, p.approve},
		p.classify:  {p.intake}, p.redact: {p.intake}, p.approve: {p.intake},
	}
	for a, peers := range works {
		if err := a.join(p.agents(), peers, core.Observer{Issued: p.keep}); err != nil {
			return nil, errors.Join(err, p.close(ctx))
		}
	}
	p.intake.serve(func(r chi.Router) { r.Post("/documents", p.takeIn) })
	p.classify.serve(func(r chi.Router) { r.Post("/labels", label) })
	p.redact.serve(func(r chi.Router) { r.Post("/redactions", removeNames) })
	p.approve.serve(func(r chi.Router) { r.Post("/decisions", decide) })
	return p, nil
}

func (p *pipeline) close(ctx context.Context) error {
	stranger.CloseIdleConnections()
	var errs []error
	for _, a := range p.agents() {
		if a != nil {
			errs = append(errs, a.close(ctx))
		}
	}
	return errors.Join(errs...)
}

// keep collects every token that any of the services issued, in order.
func (p *pipeline) keep(_ context.Context, i *core.Issued) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issued = append(p.issued, i)
}

func (p *pipeline) tokens() []*core.Issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.issued)
}

// decision is what comes out of the pipeline.
type decision struct {
	Labels   []string      `json:"labels"`
	Document string        `json:"document"`
	Decision core.Decision `json:"decision"`
	Reason   string        `json:"reason"`
}

// submit hands a document in, as work that no request started.
func (p *pipeline) submit(ctx context.Context, document []byte) (*decision, error) {
	ctx, task, err := p.submitter.service.StartTask(ctx, "submit_document")
	if err != nil {
		return nil, err
	}
	var d decision
	callErr := post(ctx, p.submitter, p.intake, "/documents", document, &d)
	outcome := core.OutcomeOK
	if callErr != nil {
		outcome = core.OutcomeError
	}
	if _, err := task.Finish(ctx, core.Completion{Outcome: outcome}); err != nil {
		return nil, errors.Join(callErr, err)
	}
	return &d, callErr
}

// takeIn is intake's handler. The two calls are branches whatever their timing, and the
// call that follows both joins them.
func (p *pipeline) takeIn(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
	if err != nil {
		http.Error(w, "the document could not be read", http.StatusBadRequest)
		return
	}
	if !utf8.Valid(document) {
		http.Error(w, "the document is not UTF-8 text", http.StatusUnprocessableEntity)
		return
	}
	var d decision
	var wg sync.WaitGroup
	var labelErr, redactErr error
	ctx := r.Context()
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		http.Error(w, "no task", http.StatusInternalServerError)
		return
	}
	toLabel, labelling := task.Branch(ctx)
	toRedact, redacting := task.Branch(ctx)
	wg.Go(func() { labelErr = post(toLabel, p.intake, p.classify, "/labels", document, &d.Labels) })
	wg.Go(func() { redactErr = post(toRedact, p.intake, p.redact, "/redactions", document, &d.Document) })
	wg.Wait()
	labelling.Join()
	redacting.Join()
	err = errors.Join(labelErr, redactErr)
	if err == nil {
		var body []byte
		if body, err = json.Marshal(d); err == nil {
			err = post(ctx, p.intake, p.approve, "/decisions", body, &d)
		}
	}
	if err != nil {
		http.Error(w, "the document could not be processed", http.StatusBadGateway)
		return
	}
	reply(w, d)
}

// label is classify's handler: it names the kinds of sensitive content.
func label(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
	if err != nil {
		http.Error(w, "the document could not be read", http.StatusBadRequest)
		return
	}
	text := strings.ToLower(string(document))
	labels := []string{}
	for _, l := range []struct {
		name  string
		words []string
	}{
		{"health", []string{"patient", "diagnosis", "medication", "device", "admitted"}},
		{"finance", []string{"iban", "invoice", "payment", "account number"}},
		{"shipping", []string{"consignee", "bill of lading", "container"}},
	} {
		if slices.ContainsFunc(l.words, func(w string) bool { return strings.Contains(text, w) }) {
			labels = append(labels, l.name)
		}
	}
	if len(labels) == 0 {
		labels = append(labels, "general")
	}
	reply(w, labels)
}

// personal matches what redact takes out.
var personal = []*regexp.Regexp{
	regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)+`),
	regexp.MustCompile(`\+\d[\d ]{7,}\d`),
	regexp.MustCompile(`\bMRN-\d+\b`),
	regexp.MustCompile(`(?m)^(Patient:\s+).*$`),
}

// removeNames is redact's handler.
func removeNames(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
	if err != nil {
		http.Error(w, "the document could not be read", http.StatusBadRequest)
		return
	}
	text := string(document)
	for _, p := range personal {
		replacement := "[removed]"
		if p.NumSubexp() == 1 && strings.HasPrefix(p.String(), "(?m)") {
			replacement = "${1}[removed]"
		}
		text = p.ReplaceAllString(text, replacement)
	}
	reply(w, text)
}

// decide is approve's handler: it applies a policy, and records with its task which
// policy said what.
func decide(w http.ResponseWriter, r *http.Request) {
	var d decision
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 2*maxDocument)).Decode(&d); err != nil {
		http.Error(w, "the request is not JSON", http.StatusBadRequest)
		return
	}
	d.Decision, d.Reason = core.Approved, "no personal data left"
	switch {
	case slices.ContainsFunc(personal[:3], func(p *regexp.Regexp) bool { return p.MatchString(d.Document) }):
		d.Decision, d.Reason = core.Rejected, "personal data left"
	case slices.Contains(d.Labels, "finance"):
		d.Decision, d.Reason = core.PendingHumanReview, "financial documents are read by a person"
	}
	task, ok := core.TaskFromContext(r.Context())
	if !ok {
		http.Error(w, "no task", http.StatusInternalServerError)
		return
	}
	err := task.Checkpoint(core.PolicyCheckpoint{
		Policy: "release-of-documents/v3", Decision: d.Decision,
		Enforcer: task.Heads()[0].Claims().Audience[0], Time: time.Now(),
	})
	if err != nil {
		http.Error(w, "the decision could not be recorded", http.StatusInternalServerError)
		return
	}
	reply(w, d)
}

// post sends a body from one agent to another and decodes the answer. Reading the
// body to its end is what verifies it.
func post(ctx context.Context, from, to *agent, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.origin()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := from.client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errOf(to.name, resp.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
	}
}
