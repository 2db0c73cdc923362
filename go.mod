module github.com/go-ect/ect

go 1.26

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/google/go-cmp v0.7.0
)

require github.com/go-json-experiment/json v1.27.2
