# What developers run. The shell behind it lies in hack/.

# Watch this machine, live; or the bundled capture, where this user may not capture.
run:
	@hack/run.sh

# Every test.
test:
	@hack/test.sh

# What takes longer: every part of `hack/soak.sh --list`, or PART="fuzz flood".
soak:
	@hack/soak.sh $(PART)

# Against Suricata, and one thread against two.
bench:
	@benches/compare.sh

# The image of worker and hub, for ARCH (this machine's), into target/images.
images:
	@hack/images.sh

.PHONY: run test soak bench images
