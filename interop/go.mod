module github.com/go-ect/ect/interop

go 1.26.0

require (
	github.com/go-ect/ect v0.0.0
	github.com/hashicorp/go-retryablehttp v0.7.8
)

require (
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
)

replace github.com/go-ect/ect => ../
