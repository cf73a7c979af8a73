//! A BPF filter over the frames of a file, compiled by libpcap once per link type.

use pcap::{BpfProgram, Capture, Linktype};

use super::CaptureError;

/// A filter, and its programs so far.
pub(crate) struct FileFilter {
    text: String,
    programs: Vec<(u32, BpfProgram)>,
}

impl FileFilter {
    pub(crate) fn new(text: String) -> Result<Self, CaptureError> {
        let mut filter = Self { text, programs: Vec::new() };
        // A filter that is wrong for Ethernet is wrong; better said before the first frame.
        filter.program(1)?;
        Ok(filter)
    }

    pub(crate) fn accepts(&mut self, link_type: u32, frame: &[u8]) -> Result<bool, CaptureError> {
        Ok(self.program(link_type)?.filter(frame))
    }

    fn program(&mut self, link_type: u32) -> Result<&BpfProgram, CaptureError> {
        let known = self.programs.iter().position(|(of, _)| *of == link_type);
        let index = known.map_or_else(|| self.compile(link_type), Ok)?;
        Ok(&self.programs[index].1)
    }

    fn compile(&mut self, link_type: u32) -> Result<usize, CaptureError> {
        let dead = Capture::dead(Linktype(link_type as i32));
        match dead.and_then(|dead| dead.compile(&self.text, true)) {
            Ok(program) => self.programs.push((link_type, program)),
            Err(error) => {
                return Err(CaptureError::Filter { filter: self.text.clone(), reason: error.to_string() });
            }
        }
        Ok(self.programs.len() - 1)
    }
}
