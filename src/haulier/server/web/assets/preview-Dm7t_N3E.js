import{a as r,D as i}from"./index-BNCtzEJ9.js";function n({file:e,close:t}){return r(i,{title:e.name,close:t,wide:!0,children:r("p",{children:e.mime_type})})}export{n as default};
